import json

import pytest

from llmtune import cli
from llmtune.benchmark import client as client_module
from llmtune.benchmark import run, speed
from llmtune.benchmark.run import file_name
from llmtune.errors import InputError
from llmtune.predictions import read_predictions
from tests.benchmark import server as stand_in
from tests.benchmark.conftest import TEMPLATE, labeled_rows, write_rows
from tests.benchmark.server import Server


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_rows(tmp_path_factory.mktemp("served") / "test.jsonl", labeled_rows(24, seed=2))


@pytest.fixture(autouse=True)
def without_rests(monkeypatch):
    monkeypatch.setattr(client_module.time, "sleep", lambda seconds: None)


def benchmark(folder, server, rows, *more, task="classification"):
    flags = ["--prompt_template", TEMPLATE] if task == "classification" else []
    spec = server if isinstance(server, str) else server.spec
    arguments = [
        "--models",
        spec,
        "--tasks",
        f"{task}={rows}",
        "--output_dir",
        str(folder),
        "--timeout",
        "2",
        "--speed_requests",
        "0",
    ]
    code = cli.run(["benchmark", *arguments, *flags, *more])
    content = json.loads((folder / "benchmark.json").read_text())
    return code, content["tasks"][0]["models"][0]


def test_a_server_that_echoes_agrees_with_the_local_model_to_a_thousandth(llama, rows, tmp_path):
    with Server(llama) as server:
        code, model = benchmark(tmp_path / "b", server, rows, "--reference", str(llama))
    cli.run(
        ["benchmark", "--models", str(llama), "--tasks", f"classification={rows}", "--output_dir", str(tmp_path / "l")]
        + ["--prompt_template", TEMPLATE]
    )
    here, there = (
        read_predictions(next((tmp_path / name / "predictions" / "classification").iterdir())) for name in "lb"
    )

    assert code == 0
    assert model["way"] == "served"
    assert any("agrees with" in note and "and on every decision" in note for note in model["notes"])
    assert here.column("prediction") == there.column("prediction")
    assert there.probabilities() == pytest.approx(here.probabilities(), abs=1e-3)


def test_perplexity_of_a_served_model_is_that_of_the_local_one(llama, rows, tmp_path):
    with Server(llama) as server:
        code, model = benchmark(tmp_path / "b", server, rows, "--reference", str(llama), task="perplexity")
    cli.run(["evaluate", "--model", str(llama), "--test_file", str(rows), "--output_dir", str(tmp_path / "e")])
    alone = json.loads((tmp_path / "e" / "metrics.json").read_text())["test"]

    assert code == 0
    assert model["metrics"]["perplexity"]["value"] == pytest.approx(alone["perplexity"]["value"], rel=1e-4)


# What a server does, and the reason that a person reads; each says what works.
FAULTS = [
    (stand_in.ECHO_IGNORED, "ignores echo and logprobs, so no likelihood can be told there; score by"),
    (stand_in.GENERATED_ONLY, "gives log-probabilities of generated tokens only, as llama.cpp does"),
    (stand_in.DOUBLE_BEGIN, "times before a text, which a model never saw in training; turn off one of the two"),
    (stand_in.TEMPLATE, "a chat template is applied to what was sent as it is; turn it off there"),
    (stand_in.TRUNCATED, "it truncates; raise its context length, or give shorter rows"),
]


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
def test_a_server_that_can_not_tell_likelihoods_is_refused_with_the_reason(
    fault, reason, llama, rows, tmp_path, capsys
):
    with Server(llama, fault=fault) as server:
        code, model = benchmark(tmp_path / "b", server, rows)

    assert code == 1
    assert reason in model["refusal"]
    assert "metrics" not in model
    assert "Refused" in capsys.readouterr().out


@pytest.mark.parametrize("fault", [stand_in.ECHO_IGNORED, stand_in.GENERATED_ONLY])
def test_the_way_that_the_refusal_names_works(fault, llama, rows, tmp_path):
    flags = ["--scoring", "generation", "--max_new_tokens", "3"]
    with Server(llama, fault=fault) as server:
        code, model = benchmark(tmp_path / "b", server, rows, *flags, "--reference", str(llama))

    assert code == 0
    assert model["metrics"]["accuracy"]["value"] > 0.5
    assert any("agrees with" in note for note in model["notes"])


def test_a_first_token_without_a_number_is_left_out_and_not_counted_as_certain(llama, rows, tmp_path):
    with Server(llama, fault=stand_in.FIRST_NULL) as server:
        code, model = benchmark(tmp_path / "b", server, rows, task="perplexity")
        benchmark(tmp_path / "c", server, rows)
    table = read_predictions(next((tmp_path / "b" / "predictions" / "perplexity").iterdir()))

    assert code == 0
    assert any("first tokens before which the server sets nothing, not scored: 24" in note for note in model["notes"])
    with Server(llama) as server:
        benchmark(tmp_path / "whole", server, rows, task="perplexity")
    whole = read_predictions(next((tmp_path / "whole" / "predictions" / "perplexity").iterdir()))
    assert [a - b for a, b in zip(whole.column("tokens"), table.column("tokens"), strict=True)] == [1] * 24


def test_permuted_labels_and_another_model_are_refused_with_the_first_row_that_differs(llama, other, rows, tmp_path):
    with Server(llama, fault=stand_in.PERMUTED) as server:
        code, model = benchmark(tmp_path / "p", server, rows, "--reference", str(llama))
    with Server(other) as server:
        code_other, served = benchmark(tmp_path / "o", server, rows, "--reference", str(llama))
        *_, written = benchmark(tmp_path / "w", server, rows, "--reference", str(llama), "--scoring", "generation")

    assert (code, code_other) == (1, 1)
    assert model["refusal"].startswith("row 0: ")
    assert "another model is served, or in another dtype than float32" in model["refusal"]
    assert served["refusal"].startswith("row 0: ")
    assert "another model is served, or in another dtype; serve that folder" in written["refusal"]


def test_without_a_reference_permuted_labels_are_not_called_ready(llama, rows, tmp_path):
    with Server(llama, fault=stand_in.PERMUTED) as server:
        code, model = benchmark(tmp_path / "p", server, rows)

    assert code == 0
    assert model["metrics"]["accuracy"]["high"] < 0.5
    assert model["verdict"] != "ready"


def test_faults_of_prompts_are_seen_when_answers_are_written_too(llama, rows, tmp_path):
    flags = ["--scoring", "generation"]
    with Server(llama, fault=stand_in.TEMPLATE) as server:
        _, alone = benchmark(tmp_path / "a", server, rows, *flags)
        _, compared = benchmark(tmp_path / "b", server, rows, *flags, "--reference", str(llama))
    with Server(llama, fault=stand_in.DOUBLE_BEGIN) as server:
        _, doubled = benchmark(tmp_path / "c", server, rows, *flags, "--reference", str(llama))
    with Server(llama, fault=stand_in.TRUNCATED, window=9) as server:
        _, truncated = benchmark(tmp_path / "d", server, rows, *flags)
    with Server(llama) as server:
        server.usage = False
        _, uncounted = benchmark(tmp_path / "e", server, rows, *flags)

    assert "it puts a chat template around raw prompts; turn it off there" in alone["refusal"]
    assert "another template, or one twice; set the server's template and begin token" in compared["refusal"]
    assert "its begin token twice" in doubled["refusal"]
    assert "in its first half: it truncates; raise its context length" in truncated["refusal"]
    assert any("tells no token counts (usage)" in note for note in uncounted["notes"])


def test_slow_dropped_and_failing_answers_are_asked_again(llama, rows, tmp_path):
    with Server(llama) as server:
        _, calm = benchmark(tmp_path / "a", server, rows)
    troubles = [None] * 8 + [429, 500, "drop", 503, None, "drop", 502]
    with Server(llama, statuses=troubles) as server:
        code, model = benchmark(tmp_path / "b", server, rows)

    assert code == 0
    assert model["metrics"] == calm["metrics"]
    assert sum(model["facts"]["retries"].values()) == 6
    assert {"status 429", "status 500"} <= set(model["facts"]["retries"])


def test_a_server_that_stays_down_is_refused_and_the_answers_so_far_are_kept(llama, rows, tmp_path):
    with Server(llama, statuses=[None] * 20 + [500] * 200) as server:
        code, model = benchmark(tmp_path / "b", server, rows, "--concurrency", "1")
        answered = len(server.answered)
        server.statuses.clear()
        again, whole = benchmark(tmp_path / "b", server, rows, "--concurrency", "1")

    assert (code, again) == (1, 0)
    assert "failed 6 times, the last time with status 500; what was answered is kept" in model["refusal"]
    assert whole["facts"]["reused_answers"] == answered - 6  # the probes are asked anew
    assert any("answers from the journal of an earlier run" in note for note in whole["notes"])


def test_an_address_without_a_server_is_refused(rows, tmp_path):
    code, model = benchmark(tmp_path / "b", "openai:http://127.0.0.1:9/v1#tiny", rows)

    assert code == 1
    assert "ConnectError" in model["refusal"]


def test_what_no_retry_mends_is_not_retried(llama, rows, tmp_path):
    with Server(llama, statuses=[400]) as server:
        _, model = benchmark(tmp_path / "b", server, rows)

    assert len(server.requests) == 1
    assert "/completions answered status 400: " in model["refusal"]
    assert "mend the request or the server, then run the same command" in model["refusal"]


def test_a_second_run_asks_only_the_probes(llama, rows, tmp_path):
    with Server(llama) as server:
        _, first = benchmark(tmp_path / "b", server, rows)
        asked = len(server.requests)
        _, second = benchmark(tmp_path / "b", server, rows)
        probes = len(server.requests) - asked
        more = write_rows(tmp_path / "more.jsonl", [*labeled_rows(24, seed=2), {"text": "win a call", "label": "ham"}])
        _, changed = benchmark(tmp_path / "b", server, more)

    assert probes == 6
    assert second["metrics"] == first["metrics"]
    assert changed["facts"]["reused_answers"] == second["facts"]["reused_answers"]
    assert len(server.requests) == asked + 2 * probes + 2  # the new row with each of the two labels


def test_a_changed_prompt_is_asked_anew_and_the_old_answers_are_named(llama, rows, tmp_path):
    with Server(llama) as server:
        benchmark(tmp_path / "b", server, rows)
        _, model = benchmark(tmp_path / "b", server, rows, "--prompt_template", "{text}\nLabel :")

    assert model["facts"]["reused_answers"] == 0
    assert any("in the journal to other rows, prompts or settings, not used" in note for note in model["notes"])


def test_another_model_behind_the_name_is_noticed_by_the_journal(llama, other, rows, tmp_path):
    with Server(llama) as server:
        benchmark(tmp_path / "b", server, rows)
    with Server(other) as impostor:
        journal = next((tmp_path / "b" / "journal").iterdir())
        journal.rename(journal.with_name(f"classification-{file_name(impostor.spec)}.jsonl"))  # its port is another one
        with pytest.raises(InputError, match="another model answered when this journal was written .* nats of the"):
            benchmark(tmp_path / "b", impostor, rows)


def test_requests_are_bounded_and_equal_ones_are_asked_once(llama, tmp_path):
    rows = write_rows(tmp_path / "twice.jsonl", [*labeled_rows(6, seed=2), *labeled_rows(6, seed=2)])
    with Server(llama) as server:
        benchmark(tmp_path / "b", server, rows, "--concurrency", "3")

    prompts = [asked["prompt"] for asked in server.requests[6:]]
    assert len(prompts) == len(set(prompts)) <= 12
    assert server.most_at_once <= 3


def test_the_key_comes_from_the_environment_and_is_written_nowhere(llama, rows, tmp_path, monkeypatch):
    monkeypatch.setenv("LLMTUNE_API_KEY", "sk-secret-7")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-company")
    with Server(llama) as server:
        benchmark(tmp_path / "b", server, rows)

    assert {headers["Authorization"] for headers in server.headers} == {"Bearer sk-secret-7"}
    left = b"".join(path.read_bytes() for path in (tmp_path / "b").rglob("*") if path.is_file())
    assert b"sk-" not in left


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("openai:127.0.0.1/v1", "expected openai:http://host:port/v1#name with the name of the model"),
        ("openai:http://127.0.0.1:1/v1", "expected openai:http://host:port/v1#name with the name of the model"),
        ("openai:http://[::1/v1#a", "; write openai:http://host:port/v1#name"),
        (
            "openai:http://me:secret@127.0.0.1/v1#a",
            "with a password in it; put the key into $LLMTUNE_API_KEY",
        ),
    ],
)
def test_an_address_that_is_none_is_refused(spec, message, rows, tmp_path):
    with pytest.raises(InputError) as refused:
        benchmark(tmp_path / "b", spec, rows)

    assert message in str(refused.value)
    assert "secret" not in str(refused.value)


def test_flags_of_servers_are_checked(llama, rows, tmp_path):
    with pytest.raises(InputError, match="--concurrency 0: expected 1 or more requests at a time"):
        benchmark(tmp_path / "b", "openai:http://127.0.0.1:1/v1#a", rows, "--concurrency", "0")
    with pytest.raises(InputError, match="no served model is among --models; name one, as openai"):
        benchmark(tmp_path / "b", str(llama), rows, "--reference", str(llama))


def test_a_chat_has_no_likelihoods_and_can_be_written_to(llama, rows, tmp_path):
    with Server(llama) as server:
        code, model = benchmark(tmp_path / "b", server, rows, "--use_chat_template")
        _, written = benchmark(tmp_path / "c", server, rows, "--use_chat_template", "--scoring", "generation")

    assert code == 1
    assert "a chat API gives no log-probabilities of the prompt; leave --use_chat_template" in model["refusal"]
    assert len(read_predictions(next((tmp_path / "c" / "predictions" / "classification").iterdir()))) == 24
    assert written["refusal"] is None


def test_a_decision_endpoint_agrees_with_the_likelihoods_of_the_labels(llama, other, rows, tmp_path):
    flags = ["--scoring", "decision", "--reference", str(llama)]
    with Server(llama) as server:
        code, model = benchmark(tmp_path / "b", server, rows, *flags)
    with Server(llama, fault=stand_in.TEMPLATE) as server:
        _, other_words = benchmark(tmp_path / "c", server, rows, *flags)
    table = read_predictions(next((tmp_path / "b" / "predictions" / "classification").iterdir()))

    assert code == 0
    assert any("agrees with the label likelihoods of" in note for note in model["notes"])
    assert any("naming the labels in reverse moves their probabilities" in note for note in model["notes"])
    assert table.probabilities().sum(axis=1) == pytest.approx(1)
    refusal = other_words["refusal"]
    assert "endpoint asks by another template (decision.json)" in refusal or "two answers are too close" in refusal


def test_a_server_that_dies_while_it_is_timed_is_scored_all_the_same(llama, rows, tmp_path, monkeypatch):
    with Server(llama) as server:

        def time_rows(*asked):
            server.statuses = ["drop"] * 100
            return speed.time_rows(*asked)

        monkeypatch.setattr(run, "time_rows", time_rows)
        code, model = benchmark(tmp_path / "b", server, rows, "--speed_requests", "2")

    assert code == 0
    assert model["metrics"]["accuracy"]["n"] == 24
    assert "speed was not measured: /completions failed 6 times" in model["notes"][-1]
