"""Speed of models that answer in one pass: rows a second in batches, and the latency of a row alone."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from llmtune.benchmark.speed import summarized, time_rows


def forward_speed(
    models: Mapping[str, Callable[..., Any]],
    batches: Sequence[Mapping[str, torch.Tensor]],
    single_rows: Sequence[Mapping[str, torch.Tensor]],
    *,
    rows: int,
) -> dict[str, dict[str, Any]]:
    """By name of a model: `rows_per_second`, and `latency` in seconds; each has its first batch once more, to warm up.

    Args:
        models: inputs by name → outputs.
        batches: inputs of all rows.
        single_rows: inputs of a row each.
        rows: in all batches.
    """
    speeds = {}
    for name, model in models.items():
        with torch.no_grad():
            model(**batches[0])
            start = time.perf_counter()
            for batch in batches:
                model(**batch)
            seconds = time.perf_counter() - start
            latencies = time_rows(single_rows, lambda inputs, model=model: model(**inputs))
        speeds[name] = {"rows_per_second": round(rows / seconds, 2), "latency": summarized(latencies)}
    return speeds
