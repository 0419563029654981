"""Records of Every Eval Ever 0.3 (evalevalai.com), the shared format for evaluation results: `--format eee`.

A record holds one model on one data set; who evaluated, and whether the weights are open, the user fills in.
"""

import hashlib
import math
import time
from collections.abc import Mapping
from typing import Any

from llmtune import __version__
from llmtune.metrics import Score, available_metrics
from llmtune.predictions import Predictions

SCHEMA = "0.3.0"
UNKNOWN = "unknown"  # the schema's word for what is not told


def eee_record(
    model: str,
    table: Predictions,
    scores: Mapping[str, Score],
    *,
    data: str,
    model_facts: Mapping[str, Any] | None = None,
    data_facts: Mapping[str, Any] | None = None,
    now: float | None = None,
) -> dict[str, Any]:
    """One record: every metric of the whole table that has a value, with its interval.

    Args:
        model: its name.
        table: its predictions.
        scores: of the table.
        data: name of the data set.
        model_facts: what else is known of the model; values become texts.
        data_facts: likewise of the data: sha256, source.
        now: seconds since 1970; default the clock.
    """
    stamp = str(int(time.time() if now is None else now))
    known = available_metrics(table)
    results = [
        _result(name, score, table, known[name], data, data_facts or {})
        for name, score in scores.items()
        if score.value is not None and name in known and "[" not in name
    ]
    return {
        "schema_version": SCHEMA,
        "evaluation_id": f"{data}/{model}/{stamp}",
        "retrieved_timestamp": stamp,
        "source_metadata": {
            "source_name": "llmtune",
            "source_type": "evaluation_run",
            "source_organization_name": UNKNOWN,
            "evaluator_relationship": "other",
        },
        "eval_library": {"name": "llmtune", "version": __version__},
        "model_info": {
            "name": model,
            "id": model,
            "additional_details": {
                "deployment_type": "self_deployed",
                "model_availability": UNKNOWN,
                **_texts(model_facts or {}),
            },
        },
        "evaluation_results": results,
    }


def _result(
    name: str, score: Score, table: Predictions, metric: Any, data: str, data_facts: Mapping[str, Any]
) -> dict[str, Any]:
    low, high = (_end(end) for end in metric.range)
    details: dict[str, Any] = {"score": score.value, "details": {"signature": score.signature}}
    uncertainty: dict[str, Any] = {"num_samples": score.n}
    if score.low is not None and score.high is not None:
        uncertainty["confidence_interval"] = {"lower": score.low, "upper": score.high, "confidence_level": 0.95}
    digest = hashlib.sha256(f"{data} {table.kind} {name} {score.signature}".encode()).hexdigest()[:16]
    return {
        "evaluation_result_id": digest,
        "evaluation_name": f"{data}/{name}",
        "source_data": {
            "dataset_name": data,
            "source_type": "other",
            "additional_details": _texts({"split": table.split, "rows": len(table), **data_facts}),
        },
        "metric_config": {
            "metric_id": name,
            "metric_name": name,
            "metric_unit": metric.unit,
            "lower_is_better": not metric.higher_is_better,
            "score_type": "continuous",
            "min_score": low,
            "max_score": high,
        },
        "score_details": {**details, "uncertainty": uncertainty},
    }


def _end(value: float) -> float | str:
    """The end of a scale; one that has none is a word."""
    if math.isfinite(value):
        return value
    return "Infinity" if value > 0 else "-Infinity"


def _texts(facts: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in facts.items() if isinstance(value, str | int | float)}
