"""Probe before trust: what a server must show on known texts before a row is scored there; else it is refused.

The probes are asked in every run and never taken from the journal, so that a model that was exchanged is noticed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llmtune.benchmark.client import Client, Refusal
from llmtune.benchmark.endpoint import (
    BY_GENERATION,
    CHAT,
    COMPLETIONS,
    DECISIONS,
    Endpoint,
    check_leading,
    decision_payload,
    echo_payload,
    read_decision,
    read_echo,
    write_payload,
    written_text,
)
from llmtune.benchmark.language_models import LocalModel
from llmtune.text.shorten import join_names

SENTENCE = "The river ran past the old mill while the miller counted sacks of grain."
REVERSED = SENTENCE[::-1]  # the same letters: every model of texts finds them less probable
ONE_LETTER, MOST_OF_A_LETTER = "a", 3  # tokens of it with a begin token; more is a template
WRITTEN = 16  # tokens of a probe's answer
MOST_DRIFT = 0.05  # nats of a token that an answer may move with what is asked beside it, as bfloat16's kernels do
SAME_MODEL = 0.02  # nats of a token by which the same model answers the same sentence in two runs, in bfloat16 too
HALF = 0.75  # of the tokens of a text: its half has fewer, unless the text was truncated


def probe_likelihoods(endpoint: Endpoint, longest: str) -> tuple[dict[str, Any], list[str]]:
    """Echo with log-probabilities: spelled, finite, ranked, without doubled tokens, not truncated, not disturbed.

    Args:
        endpoint: the model.
        longest: the longest text that will be asked about.

    Returns:
        by what the model is known, and lines for a person.

    Raises:
        Refusal: why no likelihood from there can be believed, and what works.
    """
    client = endpoint.client
    listed = name_lines(client)
    alone = client.ask(COMPLETIONS, echo_payload(SENTENCE))
    echo = read_echo(alone, SENTENCE)
    check_leading(echo.leading)
    nats, tokens = _nats(endpoint, alone, SENTENCE)
    reversed_nats, _ = _nats(endpoint, client.ask(COMPLETIONS, echo_payload(REVERSED)), REVERSED)
    if nats >= reversed_nats:
        raise Refusal(
            f"the server finds an English sentence ({nats:.1f} nats) no more probable than its letters reversed "
            f"({reversed_nats:.1f}): these are not the log-probabilities of the text; {BY_GENERATION}"
        )
    read_echo(client.ask(COMPLETIONS, echo_payload(longest)), longest)
    busy = client.ask_all(COMPLETIONS, [echo_payload(text) for text in (SENTENCE, REVERSED, longest)], journaled=False)
    drift = abs(_nats(endpoint, busy[0], SENTENCE)[0] - nats) / tokens
    if drift > MOST_DRIFT:
        raise Refusal(
            f"the server's answer to the same sentence moves by {drift:.2g} nats a token when other requests run "
            "beside it; turn its batching off, or ask with --concurrency 1 and compare"
        )
    endpoint.unscored = 0
    lines = [
        *listed,
        f"probed: {tokens} tokens spell the known sentence, begin token {''.join(echo.leading) or 'none'!r}, "
        f"{drift:.1g} nats a token between alone and beside others",
    ]
    return {"sentence_nats": round(nats, 6), "sentence_tokens": tokens}, lines


def probe_writing(endpoint: Endpoint, longest: str, reference: LocalModel | None) -> tuple[dict[str, Any], list[str]]:
    """Answers: not empty, the same twice, no longer than asked; the prompt neither truncated nor in a second template.

    Args:
        endpoint: the model.
        longest: the longest prompt that will be asked.
        reference: the same model here, which tells how many tokens a prompt has.

    Returns:
        by what the model is known, and lines for a person.

    Raises:
        Refusal: as `probe_likelihoods`.
    """
    client, path = endpoint.client, CHAT if endpoint.is_chat else COMPLETIONS

    def asked(prompt: str, most: int = WRITTEN) -> dict[str, Any]:
        return client.ask(path, write_payload(prompt, most, is_chat=endpoint.is_chat))

    lines = name_lines(client)
    first, second = asked(SENTENCE), asked(SENTENCE)
    text = written_text(first)
    if written_text(second) != text:
        lines.append(
            "the same prompt was answered in two ways at temperature 0: a second run will not give these numbers"
        )
    written = _usage(first, "completion_tokens")
    if written is not None and written > WRITTEN:
        raise Refusal(
            f"the server wrote {written} tokens where at most {WRITTEN} were asked for; its max_tokens is not honored, "
            "so no answer's length is known"
        )
    letter = _usage(asked(ONE_LETTER, 1), "prompt_tokens")
    if letter is None:
        lines.append("the server tells no token counts (usage): a truncated prompt would not be seen")
    else:
        _check_template(endpoint, letter, reference)
        whole = _usage(asked(longest, 1), "prompt_tokens")
        half = _usage(asked(longest[: len(longest) // 2], 1), "prompt_tokens")
        if whole is not None and half is not None and len(longest) > 40 and half - letter > HALF * (whole - letter):
            raise Refusal(
                f"the server counts {whole:,} tokens in the longest prompt and {half:,} in its first half: it "
                "truncates; raise its context length, or give shorter rows"
            )
        lines.append(f"probed: the longest prompt has {whole} tokens there, one letter {letter}")
    return {"answer": text}, lines


def difference(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> str:
    """What tells the model that answers now from that of an earlier run, in words; empty where nothing does.

    >>> difference({"answer": "one"}, {"answer": "two"}), difference(None, {"answer": "two"})
    ("it wrote 'one', now 'two'", '')
    """
    if before is None:
        return ""
    if before.get("answer") != now.get("answer"):
        return f"it wrote {before.get('answer')!r}, now {now.get('answer')!r}"
    nats, tokens = now.get("sentence_nats"), now.get("sentence_tokens", 1)
    if nats is not None and abs(before["sentence_nats"] - nats) > SAME_MODEL * tokens:
        return f"{before['sentence_nats']:.3f} nats of the known sentence, now {nats:.3f}"
    return ""


def probe_decisions(endpoint: Endpoint, labels: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """A decision endpoint: a probability of each label; how much the order of the labels matters is told.

    Returns:
        by what the model is known, and lines for a person.

    Raises:
        Refusal: it gives none.
    """
    lines = name_lines(endpoint.client)
    turned = list(reversed(labels))
    first = read_decision(endpoint.client.ask(DECISIONS, decision_payload(SENTENCE, labels)), labels)
    second = read_decision(endpoint.client.ask(DECISIONS, decision_payload(SENTENCE, turned)), labels)
    moved = max(abs(a - b) for a, b in zip(first, second, strict=True))
    lines.append(f"probed: naming the labels in reverse moves their probabilities by up to {moved:.2g} on a known text")
    return {"answer": [round(value, 3) for value in first]}, lines


def name_lines(client: Client) -> list[str]:
    """A line where the server lists other models than the one that is asked for: some answer to any name."""
    served = client.models()
    if not served or client.address.model in served:
        return []
    return [
        f"the server lists {join_names(served, 5)}, not {client.address.model!r}, and answers all the same: which "
        "model answers is not known (--reference FOLDER tells)"
    ]


def _check_template(endpoint: Endpoint, letter: int, reference: LocalModel | None) -> None:
    expected = None if reference is None else len(reference.prompt_ids(ONE_LETTER))
    if expected is not None and letter != expected:
        what = "its begin token twice" if letter == expected + 1 else "another template, or one twice"
        raise Refusal(
            f"the server reads {letter} tokens where the model's own tokenizer gives {expected} for the letter "
            f"{ONE_LETTER!r}: {what}; set the server's template and begin token as in training"
        )
    if expected is None and not endpoint.is_chat and letter > MOST_OF_A_LETTER:
        raise Refusal(
            f"the server reads {letter} tokens where the one letter {ONE_LETTER!r} was sent: it puts a chat template "
            "around raw prompts; turn it off there, or use --use_chat_template"
        )


def _nats(endpoint: Endpoint, answer: Mapping[str, Any], text: str) -> tuple[float, int]:
    likelihood = endpoint.likelihood(answer, "", text)
    return likelihood.nats, likelihood.tokens


def _usage(answer: Mapping[str, Any], name: str) -> int | None:
    usage = answer.get("usage")
    value = usage.get(name) if isinstance(usage, Mapping) else None
    return value if isinstance(value, int) else None


def longest_text(texts: Sequence[str]) -> str:
    """The one with most characters."""
    return max(texts, key=len)
