import json

import numpy as np
import pytest

from llmtune import cli
from llmtune.benchmark.client import Address, Client, RequestOptions
from llmtune.benchmark.speed import Price, TimedRequest, measure_load, read_limits, summarized, time_rows
from llmtune.errors import InputError
from tests.benchmark.conftest import TEMPLATE
from tests.benchmark.server import Server
from tests.commands.conftest import spam_model  # noqa: F401 - a fixture


def load(server, *, requests=6, concurrency=2, limits=None):
    with Client(Address(server.url, "tiny"), RequestOptions(concurrency)) as client:
        return measure_load(
            client,
            ["win a prize now\nLabel:", "call me\nLabel:"],
            requests=requests,
            concurrency=concurrency,
            max_new_tokens=6,
            is_chat=False,
            limits=limits or {},
        )


def test_a_stream_is_timed_to_its_first_token_and_between_tokens_not_chunks(llama):
    with Server(llama) as server:
        server.before_first, server.between = 0.15, 0.08
        measured = load(server)

    assert measured["failures"] == {}
    assert measured["ttft"]["p50"] > 0.15
    # Eight letters in four chunks: three rests of 0.08 s lie between eight tokens, not between four.
    assert 3 * 0.08 / 7 <= measured["itl"]["p50"] < 0.08
    assert measured["latency"]["p50"] >= 0.15 + 3 * 0.08
    assert measured["latency"]["n"] == 6
    assert measured["requests_per_second"] > 0
    assert server.most_at_once <= 2


def test_goodput_counts_only_requests_within_every_limit(llama):
    with Server(llama) as server:
        server.before_first = 0.15
        strict = load(server, limits={"ttft": 0.1})
        loose = load(server, limits={"ttft": 60.0, "latency": 60.0})

    assert (strict["within_limits"], strict["goodput"]) == (0, 0)
    assert loose["within_limits"] == 1
    assert TimedRequest(1.0, 0.2, 5).meets({"itl": 0.2})
    assert not TimedRequest(1.0, 0.2, 5).meets({"itl": 0.19})
    assert not TimedRequest(1.0).meets({"ttft": 9.0})  # not measured
    assert not TimedRequest(1.0, 0.2, 5, failure="status 500").meets({})


def test_failures_under_load_are_counted_and_not_retried(llama):
    with Server(llama, statuses=[500, "drop", 429]) as server:
        measured = load(server, concurrency=1)

    assert len(server.requests) == 6
    assert sum(measured["failures"].values()) == 3
    assert {"status 500", "status 429"} <= set(measured["failures"])
    assert measured["latency"]["n"] == 3


def test_a_server_that_does_not_stream_has_a_latency_and_no_time_to_first_token(llama):
    with Server(llama) as server:
        server.streams = False
        measured = load(server)

    assert measured["ttft"] is None
    assert measured["itl"] is None
    assert measured["latency"]["n"] == 6
    assert measured["tokens_per_second"] > 0


def test_percentiles_are_those_of_numpy_with_an_interval_of_the_median():
    seconds = list(np.random.default_rng(0).lognormal(size=200))
    summary = summarized(seconds)

    assert [summary[name] for name in ("p50", "p95", "p99")] == pytest.approx(
        np.percentile(seconds, [50, 95, 99]), abs=1e-5
    )
    assert summary["low"] < summary["p50"] < summary["high"]
    assert summarized([]) is None
    assert summarized([0.5])["low"] is None


def test_the_first_row_warms_up_and_is_not_counted():
    asked = []

    assert len(time_rows([1, 2, 3], asked.append)) == 3
    assert asked == [1, 1, 2, 3]


def test_costs_follow_the_tokens_of_a_server_and_the_hour_of_a_machine():
    facts = {"prompt_tokens": 5_000, "completion_tokens": 1_000, "rows_per_second": 2.0}

    assert Price.read(["0.20+0.80/M"]).of_thousand_rows(facts, 10) == pytest.approx(
        (5_000 * 0.2 + 1_000 * 0.8) / 1e6 * 100
    )
    assert Price.read(["7.2/h"]).of_thousand_rows(facts, 10) == pytest.approx(7.2 / 3600 * 500)
    assert Price.read([]).of_thousand_rows(facts, 10) is None


def test_what_is_no_limit_and_no_price_is_refused():
    with pytest.raises(InputError, match="expected ttft, itl or latency with a time in ms or s, as"):
        read_limits("ttft<200ms")
    with pytest.raises(InputError, match="a machine's hour, as 1.20/h, or a million tokens read and written"):
        Price.read(["cheap"])


def test_speed_stands_beside_quality_for_local_and_served_models(llama, spam_model, labeled, tmp_path, capsys):  # noqa: F811
    with Server(llama) as server:
        flags = ["--speed_requests", "4", "--concurrency", "1", "2", "--slo", "latency<=60s", "--price", "3.6/h"]
        flags += ["--prompt_template", TEMPLATE, "--max_eval_samples", "12", "--output_dir", str(tmp_path / "b")]
        models = [str(spam_model), str(llama), server.spec]
        cli.run(["benchmark", "--models", *models, "--tasks", f"classification={labeled}", *flags])
    content = json.loads((tmp_path / "b" / "benchmark.json").read_text())
    classifier, prompted, served = (model["facts"] for model in content["tasks"][0]["models"])
    shown = capsys.readouterr().out

    for facts in (classifier, prompted, served):
        assert facts["latency"]["n"] >= 2
        assert facts["latency"]["p50"] > 0
        assert facts["cost_of_1000_rows"] == pytest.approx(1 / facts["rows_per_second"], rel=1e-3)
    assert classifier["peak_memory_mib"] > 50
    assert [measured["concurrency"] for measured in served["loads"]] == [1, 2]
    assert served["loads"][0]["within_limits"] == 1
    assert content["hardware"]["cores"] >= 1
    assert "Speed (ms of one row" in shown
    assert "under load" in shown
