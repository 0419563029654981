"""A served model: log-likelihoods by `echo` with `logprobs`, answers by completions or chat.

A server that lacks what is assumed answers all the same, and a client that adds up what it gets scores at chance. Here
the tokens of an answer must spell the text that was sent, character by character, or there is no number.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmtune.benchmark.client import Client, Refusal
from llmtune.benchmark.language_models import Likelihood, Pair
from llmtune.text.shorten import truncated_line

COMPLETIONS, CHAT = "/completions", "/chat/completions"
LEAST = -9000.0  # vLLM writes -9999 for minus infinity
MOST_LEADING = 4  # tokens before the text that are looked at: one begin token is right, more is a fault
FEWEST_LETTERS = 8  # of the end of a text, by which a truncated one is known
BY_GENERATION = "score by what the model writes: --scoring generation"
WORKING_SERVERS = "serve it by vLLM or SGLang, which give the log-probabilities of the prompt"


@dataclass(frozen=True)
class EchoedTokens:
    """What a server said of the tokens of a text.

    Args:
        leading: tokens before the text, a begin token.
        ends: of each token of the text, where it ends there, in characters.
        logs: log-probabilities of the tokens of the text; None where nothing stands before.
        generated: tokens after the text.
    """

    leading: tuple[str, ...]
    ends: tuple[int, ...]
    logs: tuple[float | None, ...]
    generated: int

    def after(self, boundary: int) -> list[float | None]:
        """The log-probabilities of the tokens that end after a place of the text."""
        return [log for log, end in zip(self.logs, self.ends, strict=True) if end > boundary]


def read_echo(answer: Mapping[str, Any], text: str) -> EchoedTokens:
    """The tokens of a text in an answer to `echo` with `logprobs`.

    Raises:
        Refusal: the answer does not tell them.
    """
    choice = first_choice(answer)
    logprobs = choice.get("logprobs")
    tokens = logprobs.get("tokens") if isinstance(logprobs, Mapping) else None
    logs = logprobs.get("token_logprobs") if isinstance(logprobs, Mapping) else None
    if not isinstance(tokens, list) or not isinstance(logs, list) or len(tokens) != len(logs):
        echoed = str(choice.get("text") or "").startswith(text)
        what = "sends the prompt back, but without log-probabilities" if echoed else "ignores echo and logprobs"
        raise Refusal(f"the server {what}, so no likelihood can be told there; {BY_GENERATION}, or {WORKING_SERVERS}")
    place = _spelled(text, [str(token) for token in tokens])
    if place is None:
        raise Refusal(_unspelled(text, [str(token) for token in tokens], str(choice.get("text") or "")))
    first, end = place
    while first < end and not tokens[first]:  # a begin token whose letters the server leaves out
        first += 1
    lengths = [len(str(token)) for token in tokens[first:end]]
    extra = sum(lengths) - len(text)  # a space that a tokenizer sets before a text
    ends = tuple(max(0, sum(lengths[: i + 1]) - extra) for i in range(len(lengths)))
    for log in logs[:end]:
        if log is not None and not (isinstance(log, int | float) and LEAST < log <= 1e-6 and math.isfinite(log)):
            raise Refusal(
                f"the server gives {log!r} as a log-probability, expected a finite number of 0 or less; look at its "
                "logits (a quantization, an overflow), or serve it in another dtype"
            )
    return EchoedTokens(tuple(map(str, tokens[:first])), ends, tuple(logs[first:end]), len(tokens) - end)


def first_choice(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of an answer its only choice.

    Raises:
        Refusal: it has none.
    """
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise Refusal("the server answered without choices, expected one; is this address an OpenAI-compatible API?")
    return choices[0]


def _spelled(text: str, tokens: Sequence[str]) -> tuple[int, int] | None:
    """First and end of the tokens that spell a text, the fewest before it; None where none do."""
    for first in range(min(len(tokens), MOST_LEADING) + 1):
        spelling = ""
        for end in range(first, len(tokens) + 1):
            if spelling in (text, f" {text}"):
                return first, end
            if len(spelling) > len(text) + 1:
                break
            spelling += tokens[end] if end < len(tokens) else ""
    return None


def _unspelled(text: str, tokens: Sequence[str], written: str) -> str:
    """Why tokens don't spell a text."""
    joined = "".join(tokens)
    if len(tokens) <= 1:
        what = "gives log-probabilities of generated tokens only, as llama.cpp does"
        return f"the server {what}, so no likelihood can be told there; {BY_GENERATION}, or {WORKING_SERVERS}"
    if text in joined and joined.index(text) > 0:
        return (
            f"the server read {joined.partition(text)[0]!r} before the text: a chat template is applied to what was "
            "sent as it is; turn it off there, or use --use_chat_template with --scoring generation"
        )
    if any(joined.lstrip().startswith(text[place:].lstrip()) for place in range(1, len(text) - FEWEST_LETTERS)):
        return (
            f"the server read only the end of a text of {len(text):,} characters, {truncated_line(joined, 60)!r}: it "
            "truncates; raise its context length, or give shorter rows"
        )
    return (
        f"the server's tokens {truncated_line(joined, 60)!r} do not spell the text that was sent, "
        f"{truncated_line(text, 60)!r}, so nothing tells which numbers belong to it; {BY_GENERATION}"
    )


class Endpoint:
    """A model behind an address.

    Args:
        name: as the user wrote it.
        client: of its server.
        is_chat: whether prompts go to the chat API, which applies the server's own template.

    Attributes:
        unscored: first tokens of texts, before which the server sets nothing, so that nobody can predict them.
    """

    def __init__(self, name: str, client: Client, *, is_chat: bool = False) -> None:
        self.name, self.client, self.is_chat = name, client, is_chat
        self.unscored = 0

    def likelihoods(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        """By echo.

        Raises:
            Refusal: an answer that does not account for every character, or a chat, of which no server tells them.
        """
        if self.is_chat:
            raise Refusal(
                "a chat API gives no log-probabilities of the prompt; leave --use_chat_template out, or "
                f"{BY_GENERATION}"
            )
        answers = self.client.ask_all(COMPLETIONS, [echo_payload("".join(pair)) for pair in pairs])
        return [self.likelihood(answer, *pair) for answer, pair in zip(answers, pairs, strict=True)]

    def likelihood(self, answer: Mapping[str, Any], context: str, continuation: str) -> Likelihood:
        """Of a continuation, from the answer to its echo."""
        echo = read_echo(answer, context + continuation)
        check_leading(echo.leading)
        logs = echo.after(len(context.rstrip()))
        if not logs:
            raise Refusal(
                f"no token of the server ends in the continuation {truncated_line(continuation, 60)!r}; {BY_GENERATION}"
            )
        known = [log for log in logs if log is not None]
        if len(known) < len(logs) and (context.strip() or logs[0] is not None or len(logs) - len(known) > 1):
            raise Refusal(
                "the server gives no log-probability (null) of a token that stands after others; expected null at the "
                f"first token alone; {WORKING_SERVERS}"
            )
        self.unscored += len(logs) - len(known)
        return Likelihood(-sum(known), len(known))

    def write(self, prompts: Sequence[str], max_new_tokens: int) -> list[str]:
        """Greedy answers (temperature 0), without white space around them."""
        payloads = [write_payload(prompt, max_new_tokens, is_chat=self.is_chat) for prompt in prompts]
        answers = self.client.ask_all(CHAT if self.is_chat else COMPLETIONS, payloads)
        return [written_text(answer).strip() for answer in answers]


def check_leading(leading: Sequence[str]) -> None:
    """Raises Refusal where more than one token stands before a text."""
    if len(leading) > 1 and len(set(leading)) == 1:
        raise Refusal(
            f"the server sets its begin token {leading[0]!r} {len(leading)} times before a text, which a model never "
            "saw in training; turn off one of the two (add_bos_token of the tokenizer, or the template's)"
        )
    if len(leading) > 1:
        raise Refusal(
            f"the server sets {''.join(leading)!r} before a text that was sent as it is: a chat template; turn it off "
            "there, or use --use_chat_template with --scoring generation"
        )


def echo_payload(text: str) -> dict[str, Any]:
    """Asks for a text's own log-probabilities. A token is generated and left out: some servers refuse to write none."""
    return {"prompt": text, "max_tokens": 1, "temperature": 0, "logprobs": 1, "echo": True}


def write_payload(prompt: str, max_new_tokens: int, *, is_chat: bool) -> dict[str, Any]:
    """Asks for the most probable answer."""
    asked = {"messages": [{"role": "user", "content": prompt}]} if is_chat else {"prompt": prompt}
    return {**asked, "max_tokens": max_new_tokens, "temperature": 0}


def written_text(answer: Mapping[str, Any]) -> str:
    """What a model wrote, of a completion or of a chat.

    Raises:
        Refusal: the answer holds no text.
    """
    choice = first_choice(answer)
    message = choice.get("message")
    text = message.get("content") if isinstance(message, Mapping) else choice.get("text")
    if not isinstance(text, str):
        raise Refusal("the server answered without a text, expected one; is the model one that writes?")
    return text
