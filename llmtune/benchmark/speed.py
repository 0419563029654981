"""Speed beside quality: latency, time to first token, inter-token latency per token, throughput, goodput, cost.

Inter-token latency is (last - first) / (tokens - 1) of each request: a server sends several tokens in a chunk, and
latency per chunk would flatter it. Load is closed: so many requests at a time, each followed by the next.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx2
import numpy as np

from llmtune.benchmark.client import Client
from llmtune.benchmark.endpoint import CHAT, COMPLETIONS, write_payload
from llmtune.errors import InputError
from llmtune.stats import percentile_interval

LIMIT = re.compile(r"\s*(ttft|itl|latency)\s*<=\s*([0-9.]+)\s*(ms|s)\s*")
HOURLY = re.compile(r"([0-9.]+)/h")
BY_TOKENS = re.compile(r"([0-9.]+)\+([0-9.]+)/M")
N_RESAMPLES = 1_000


@dataclass(frozen=True)
class TimedRequest:
    """One request of a load.

    Args:
        seconds: to its end.
        first: seconds to its first text; None where the server does not stream, or wrote nothing.
        tokens: that it wrote, as the server counts them, else chunks.
        prompt_tokens: that the server counts; None where it doesn't.
        failure: what went wrong; empty where nothing did.
    """

    seconds: float
    first: float | None = None
    tokens: int = 0
    prompt_tokens: int | None = None
    failure: str = ""

    @property
    def between(self) -> float | None:
        """Inter-token latency in seconds; None below two tokens."""
        if self.first is None or self.tokens < 2:
            return None
        return (self.seconds - self.first) / (self.tokens - 1)

    def meets(self, limits: Mapping[str, float]) -> bool:
        """Whether it ended well within all limits; what was not measured meets none."""
        measured = {"ttft": self.first, "itl": self.between, "latency": self.seconds}
        return not self.failure and all(
            (value := measured[name]) is not None and value <= most for name, most in limits.items()
        )


def read_limits(text: str | None) -> dict[str, float]:
    """The seconds of `--slo`; empty for none.

    Raises:
        InputError: a piece that is no limit.

    >>> read_limits("ttft<=200ms,itl<=50ms")
    {'ttft': 0.2, 'itl': 0.05}
    """
    limits = {}
    for piece in text.split(",") if text else []:
        match = LIMIT.fullmatch(piece)
        if match is None:
            raise InputError(
                f"--slo {piece!r}: expected ttft, itl or latency with a time in ms or s, as 'ttft<=200ms,itl<=50ms' "
                "in quotes"
            )
        limits[match[1]] = float(match[2]) / (1000 if match[3] == "ms" else 1)
    return limits


@dataclass(frozen=True)
class Price:
    """What a machine or tokens cost.

    Args:
        hour: of the machine; None for no such price.
        prompt: a million tokens that are read.
        written: a million tokens that are written.
    """

    hour: float | None = None
    prompt: float | None = None
    written: float | None = None

    @classmethod
    def read(cls, texts: Sequence[str]) -> "Price":
        """Of `--price 1.20/h` (a machine) and `0.15+0.60/M` (a million tokens read, and written).

        Raises:
            InputError: a text that is no price.
        """
        values: dict[str, float] = {}
        for text in texts:
            hourly, by_tokens = HOURLY.fullmatch(text), BY_TOKENS.fullmatch(text)
            if hourly is None and by_tokens is None:
                raise InputError(
                    f"--price {text!r}: expected a machine's hour, as 1.20/h, or a million tokens read and written, as "
                    "0.15+0.60/M"
                )
            if hourly is not None:
                values["hour"] = float(hourly[1])
            elif by_tokens is not None:
                values |= {"prompt": float(by_tokens[1]), "written": float(by_tokens[2])}
        return cls(**values)

    def of_thousand_rows(self, facts: Mapping[str, Any], rows: int) -> float | None:
        """Cost of 1,000 rows of a model; None where no price fits it.

        >>> Price(hour=3.6).of_thousand_rows({"rows_per_second": 10.0}, 50)
        0.1
        """
        if self.prompt is not None and self.written is not None and facts.get("prompt_tokens"):
            cost = facts["prompt_tokens"] * self.prompt + facts["completion_tokens"] * self.written
            return round(float(cost) / 1e6 / rows * 1000, 6)
        if self.hour is not None and facts.get("rows_per_second"):
            return round(self.hour / 3600 * 1000 / float(facts["rows_per_second"]), 6)
        return None


def summarized(seconds: Sequence[float], seed: int = 0) -> dict[str, Any] | None:
    """Percentiles of times, and the 95 % interval of the median over requests drawn again; None of no times."""
    if not seconds:
        return None
    values = np.asarray(seconds, dtype=np.float64)
    p50, p95, p99 = (float(value) for value in np.percentile(values, [50, 95, 99]))
    drawn = np.random.default_rng(seed).choice(values, (N_RESAMPLES, len(values)))
    low, high, _ = percentile_interval(np.median(drawn, axis=1), p50)
    ends = {name: None if end is None else round(end, 6) for name, end in (("low", low), ("high", high))}
    percentiles = {"p50": round(p50, 6), "p95": round(p95, 6), "p99": round(p99, 6)}
    return {**percentiles, **ends, "std": round(float(values.std()), 6), "n": len(values)}


def measure_load(
    client: Client,
    prompts: Sequence[str],
    *,
    requests: int,
    concurrency: int,
    max_new_tokens: int,
    is_chat: bool,
    limits: Mapping[str, float],
) -> dict[str, Any]:
    """Asks so many requests, so many at a time, streamed and not retried; JSON values, times in seconds.

    Args:
        client: of the server.
        prompts: that are asked in turn.
        requests: how many.
        concurrency: at a time.
        max_new_tokens: of an answer.
        is_chat: whether prompts go to the chat API.
        limits: of goodput.
    """
    path = CHAT if is_chat else COMPLETIONS
    payloads = [
        {"model": client.address.model, **write_payload(prompts[i % len(prompts)], max_new_tokens, is_chat=is_chat)}
        for i in range(requests)
    ]
    start = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as pool:
        timed = list(pool.map(lambda payload: time_request(client, path, payload), payloads))
    wall = time.perf_counter() - start
    fine = [each for each in timed if not each.failure]
    firsts = [each.first for each in fine if each.first is not None]
    rates = [
        each.prompt_tokens / each.first for each in fine if each.prompt_tokens is not None and each.first is not None
    ]
    failures = [each.failure for each in timed if each.failure]
    summary: dict[str, Any] = {
        "concurrency": concurrency,
        "requests": requests,
        "failures": {failure: failures.count(failure) for failure in dict.fromkeys(failures)},
        "latency": summarized([each.seconds for each in fine]),
        "ttft": summarized(firsts),
        "itl": summarized([gap for each in fine if (gap := each.between) is not None]),
        "prefill_tokens_per_second": round(float(np.median(rates)), 2) if rates else None,
        "tokens_per_second": round(sum(each.tokens for each in fine) / wall, 2),
        "requests_per_second": round(len(fine) / wall, 3),
    }
    if limits:
        meeting = sum(each.meets(limits) for each in timed)
        summary |= {"goodput": round(meeting / wall, 3), "within_limits": round(meeting / requests, 4)}
    return summary


def time_request(client: Client, path: str, payload: Mapping[str, Any]) -> TimedRequest:
    """One streamed request, once."""
    asked = {**payload, "stream": True, "stream_options": {"include_usage": True}}
    start = time.perf_counter()
    first: float | None = None
    chunks = 0
    usage: dict[str, Any] = {}
    try:
        with client.http.stream("POST", f"{client.address.url}{path}", json=asked) as response:
            if response.status_code != 200:
                return TimedRequest(time.perf_counter() - start, failure=f"status {response.status_code}")
            is_stream = "event-stream" in response.headers.get("content-type", "")
            for chunk in _chunks(response) if is_stream else [json.loads(response.read())]:
                usage = chunk.get("usage") or usage
                if _has_text(chunk):
                    chunks += 1
                    first = time.perf_counter() - start if first is None and is_stream else first
    except (httpx2.TransportError, ValueError) as error:
        return TimedRequest(time.perf_counter() - start, failure=type(error).__name__)
    seconds = time.perf_counter() - start
    return TimedRequest(seconds, first, int(usage.get("completion_tokens") or chunks), usage.get("prompt_tokens"))


def _chunks(response: httpx2.Response) -> Iterator[dict[str, Any]]:
    """The events of a stream."""
    for line in response.iter_lines():
        content = line.removeprefix("data:").strip()
        if line.startswith("data:") and content != "[DONE]":
            yield json.loads(content)


def _has_text(chunk: Mapping[str, Any]) -> bool:
    choices = chunk.get("choices") or [{}]
    delta = choices[0].get("delta") or {}
    return bool(choices[0].get("text") or delta.get("content"))


def time_rows(asked: Sequence[Any], ask: Any) -> list[float]:
    """Seconds of each row alone, after the first one, which warms up.

    Args:
        asked: rows as `ask` takes them.
        ask: a function that answers one row.
    """
    seconds = []
    for place, row in enumerate([*asked[:1], *asked]):
        start = time.perf_counter()
        ask(row)
        if place:
            seconds.append(time.perf_counter() - start)
    return seconds
