"""Rows → tokens, which of them the model learns to write, and the texts whose bytes and words count.

A sequence begins with the token that the model was trained to begin with (<s>, else its end token, as lm-eval does), so
that the first token of a text is predicted too. In training it ends with the end token. Control tokens are learned, and
not scored: they are no bytes of a text.
"""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from llmtune.progress import progress
from llmtune.tasks.causal_lm.windows import TokenSequence
from llmtune.tasks.control_tokens import control_tokens, encode_text

AT_ONCE = 500  # rows given to the tokenizer together, so that a bar can move between
TEXT, PROMPT_COMPLETION, MESSAGES = FORMATS = ("text", "prompt_completion", "messages")


def first_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """What stands before a text: the beginning token, else the end token; nothing where there is neither."""
    own = tokenizer.bos_token_id, tokenizer.eos_token_id
    return [token for token in own if token is not None][:1]


def unscored_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Tokens that are no text. The unknown token is text: a word that costs nothing would flatter the model."""
    return sorted(set(control_tokens(tokenizer).values()) - {tokenizer.unk_token_id})


def text_sequences(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, *, ends: bool) -> list[TokenSequence]:
    """Documents: every token is learned, and the end where there are `ends`."""
    return completion_sequences([""] * len(texts), texts, tokenizer, ends=ends)


def completion_sequences(
    prompts: Sequence[str], completions: Sequence[str], tokenizer: PreTrainedTokenizerBase, *, ends: bool
) -> list[TokenSequence]:
    """Prompts with their completions: the completion is learned, and the end where there are `ends`."""
    first = first_ids(tokenizer)
    last = [tokenizer.eos_token_id] if ends and tokenizer.eos_token_id is not None else []
    sequences = []
    for prompt, completion in zip(_ids(prompts, tokenizer), _ids(completions, tokenizer), strict=True):
        ids = [*first, *prompt, *completion, *last]
        known = len(first) + len(prompt)
        sequences.append(TokenSequence(ids, [False] * known + [True] * (len(ids) - known)))
    return sequences


def _ids(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    if not any(texts):
        return [[] for _ in texts]
    ids: list[list[int]] = []
    for start in progress(range(0, len(texts), AT_ONCE), "tokenizing", unit=f"x {AT_ONCE:,} rows"):
        some = list(texts[start : start + AT_ONCE])
        ids += encode_text(tokenizer, some, add_special_tokens=False, verbose=False)["input_ids"]
    return ids
