"""The tokenizer of a checkpoint: one that its own files break is one message."""

from types import TracebackType
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from llmtune.errors import InputError
from llmtune.models.remote_code import not_loadable

# What transformers raises for a tokenizer.json, tokenizer_config.json or vocabulary with values of other types.
UNFIT_TOKENIZER = (OSError, ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError, OverflowError)


def load_tokenizer(name: str, where: str, expected: str, **options: Any) -> PreTrainedTokenizerBase:
    """The tokenizer of a run, a checkpoint folder or a Hub id.

    Args:
        name: of it.
        where: begins the message.
        expected: what a message says before the reason.
        options: of `from_pretrained`.

    Raises:
        InputError: no such checkpoint, or its files describe no tokenizer.
    """
    with _Refusals(where, expected):
        return AutoTokenizer.from_pretrained(name, **options)


def check_pad_token(tokenizer: PreTrainedTokenizerBase, where: str) -> None:
    """Refuses a tokenizer that can't make rows of a batch equally long.

    Raises:
        InputError: it has no pad token.
    """
    if tokenizer.pad_token_id is None:
        raise InputError(
            f"{where}: its tokenizer has no pad token, expected one that fills up short texts; name it in "
            'tokenizer_config.json, as "pad_token": "[PAD]"'
        )


class _Refusals:
    """Turns what a broken tokenizer raises into our error.

    tokenizers, which is written in Rust, raises plain `Exception` for a tokenizer.json that it can't read: there is no
    class of its own to catch.
    """

    def __init__(self, where: str, expected: str) -> None:
        self.where, self.expected = where, expected

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, UNFIT_TOKENIZER) or type(error) is Exception:
            raise not_loadable(self.where, self.expected, error) from error
