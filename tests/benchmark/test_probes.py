"""Answers of servers that are stranger than the stand-ins, and what is read of them."""

from dataclasses import replace

import httpx2
import pytest

from llmtune.benchmark.client import Address, Client, Refusal, RequestOptions
from llmtune.benchmark.endpoint import Endpoint, read_echo, written_text
from llmtune.benchmark.journal import Journal
from llmtune.benchmark.language_models import LocalModel
from llmtune.benchmark.probe import REVERSED, SENTENCE, probe_likelihoods, probe_writing
from llmtune.benchmark.reference import Recorded, check_reference
from llmtune.benchmark.run import benchmark_tasks
from llmtune.benchmark.task import TaskOptions
from tests.benchmark.conftest import TEMPLATE


def echo(tokens, logs, text="ab cd"):
    return {"choices": [{"text": text, "logprobs": {"tokens": tokens, "token_logprobs": logs}}]}


def test_an_echo_is_read_token_by_token():
    read = read_echo(echo(["<s>", "ab", " cd", "!"], [None, -1.0, -2.0, -9.0]), "ab cd")

    assert (read.leading, read.ends, read.logs, read.generated) == (("<s>",), (2, 5), (-1.0, -2.0), 1)
    assert read.after(2) == [-2.0]
    spaced = read_echo(echo([" ab", " cd"], [-1.0, -2.0]), "ab cd")  # SentencePiece sets a space before a text
    assert spaced.ends == (2, 5)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({}, "answered without choices, expected one; is this address an OpenAI-compatible API"),
        ({"choices": [{"text": "ab cd", "logprobs": None}]}, "sends the prompt back, but without log-probabilities"),
        (echo(["x", "y", "z"], [None, -1.0, -2.0]), "do not spell the text that was sent"),
        (
            echo(["ab", " cd"], [None, float("nan")]),
            "gives nan as a log-probability, expected a finite number of 0",
        ),
        (echo(["ab", " cd"], [None, -9999.0]), "as a log-probability, expected a finite number of 0 or less"),
        (echo(["ab", " cd"], [None, 0.7]), "gives 0.7 as a log-probability"),
    ],
)
def test_an_echo_that_can_not_be_is_refused(answer, message):
    with pytest.raises(Refusal) as refused:
        read_echo(answer, "ab cd")

    assert message in str(refused.value)


def replying(*responses):
    """A client whose server answers each request with the next response, the last one for ever."""
    left = list(responses)

    def answer(request):
        return left.pop(0) if len(left) > 1 else left[0]

    client = Client(Address("http://127.0.0.1:1/v1", "tiny"), RequestOptions(tries=1))
    client.http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return client


def of_echo(text, tokens, logs):
    return httpx2.Response(200, json=echo(tokens, logs, text))


LISTED = httpx2.Response(200, json={"data": [{"id": "another"}]})
LETTERS = list(SENTENCE)


@pytest.mark.parametrize(
    ("responses", "message"),
    [
        (
            [httpx2.Response(200, text="<html>")],
            "/completions answered no JSON (<html>); is this the address of an API?",
        ),
        ([httpx2.Response(200, json=[])], "answered a JSON list, expected an object; is this its API?"),
        (
            [LISTED, of_echo(SENTENCE, LETTERS, [None, *[-2.0] * 71]), of_echo(REVERSED, list(REVERSED), [-1.0] * 72)],
            "no more probable than its letters reversed",
        ),
        (
            [
                httpx2.Response(404),
                of_echo(SENTENCE, LETTERS, [-1.0] * 72),
                of_echo(REVERSED, list(REVERSED), [-2.0] * 72),
                of_echo("ab cd", ["ab", " cd"], [None, -1.0]),
                of_echo(SENTENCE, LETTERS, [-1.5] * 72),
            ],
            "nats a token when other requests run beside it; turn its batching off",
        ),
        (
            [httpx2.Response(404), of_echo(SENTENCE, ["<b>", "<u>", *LETTERS], [None, *[-2.0] * 73])],
            "sets '<b><u>' before a text that was sent as it is: a chat template; turn it off",
        ),
        (
            [httpx2.Response(404), of_echo(SENTENCE, LETTERS, [None, None, *[-2.0] * 70])],
            "gives no log-probability (null) of a token that stands after others; expected null at",
        ),
    ],
)
def test_a_probe_refuses_what_can_not_be_believed(responses, message):
    client = replying(*responses)
    client.options = RequestOptions(concurrency=1, tries=1)

    with pytest.raises(Refusal) as refused:
        probe_likelihoods(Endpoint("served", client), "ab cd")

    assert message in str(refused.value)


def test_a_server_that_writes_more_than_asked_or_no_text_is_refused():
    usage = {"prompt_tokens": 3, "completion_tokens": 17}
    longer = httpx2.Response(200, json={"choices": [{"text": "a b"}], "usage": usage})
    with pytest.raises(Refusal, match="tokens where at most 16 were asked for; its max_tokens is not honored"):
        probe_writing(Endpoint("served", replying(httpx2.Response(404), longer)), "ab cd", None)
    with pytest.raises(Refusal, match="answered without a text, expected one; is the model one that writes"):
        written_text({"choices": [{"text": None}]})


def test_a_listed_name_that_is_not_asked_for_and_two_answers_to_one_prompt_are_told():
    texts = [httpx2.Response(200, json={"choices": [{"text": text}]}) for text in ("one", "two")]
    _, lines = probe_writing(Endpoint("served", replying(LISTED, *texts)), "ab cd", None)

    assert "the server lists another, not 'tiny', and answers all the same" in lines[0]
    assert "the same prompt was answered in two ways at temperature 0" in lines[1]


def test_a_continuation_without_a_token_of_its_own_is_refused():
    with pytest.raises(Refusal, match="no token of the server ends in the continuation ''"):
        Endpoint("served", replying(LISTED)).likelihood(echo(["ab", " cd"], [None, -1.0], "ab cd"), "ab cd", "")


def test_a_half_written_line_of_a_journal_is_dropped(tmp_path):
    journal = Journal(tmp_path / "j.jsonl")
    journal.begin({"answer": "a"}, "")
    journal.add("k1", {"x": 1}, 0.1)
    journal.close()
    with (tmp_path / "j.jsonl").open("a") as file:
        file.write('{"key": "k2", "ans')

    again = Journal(tmp_path / "j.jsonl")
    again.add("k3", {"x": 3}, 0.1)
    again.close()

    assert set(Journal(tmp_path / "j.jsonl").answers) == {"k1", "k3"}


def test_other_tokens_and_close_decisions_are_refused_by_the_reference(llama, labeled):
    task = benchmark_tasks([f"classification={labeled}"], TaskOptions(prompt_template=TEMPLATE))[0]
    local = LocalModel(str(llama), batch_size=8)
    served = Recorded(local)
    table = task.predicted_by(served)
    assert check_reference(task, served, table, local).startswith("agrees with")

    flipped = ["ham" if label == "spam" else "spam" for label in table.column("prediction")]
    with pytest.raises(Refusal, match="two answers are too close to tell; serve the model in float32"):
        check_reference(task, served, task.table(flipped, [], {}), local)
    pair = next(iter(served.nats))
    served.nats[pair] = replace(served.nats[pair], tokens=9)
    with pytest.raises(Refusal, match="another tokenizer is served; serve that folder, or leave --reference out"):
        check_reference(task, served, table, local)
