"""What the texts of a table hide from its metrics: Unicode forms that differ, words that ROUGE does not read."""

import re
import unicodedata
from collections.abc import Container, Sequence

from llmtune.diagnosis.check import percent
from llmtune.predictions import Predictions
from llmtune.text.words import fold_words

UNREAD = 0.1  # share of the words of the references from which on ROUGE tells of the rest alone
READ = re.compile("[a-z0-9]")  # by rouge_score


def text_cautions(predictions: Predictions, scores: Container[str]) -> list[str]:
    """Lines on scores that are lower, or of less, than they seem; empty for tables without texts.

    Args:
        predictions: the table.
        scores: the names of those that were computed.
    """
    if not predictions.kind.free_text or not predictions.has("reference") or not predictions.has("prediction"):
        return []
    cells = predictions.column("reference")
    references = [[cell] if isinstance(cell, str) else list(cell or ()) for cell in cells]
    cautions = _unicode_forms(predictions.column("prediction"), references)
    half_read = "rouge1" in scores and "rouge1_unicode" not in scores  # both where it reads hardly a word
    return [*cautions, *_unread_words(references)] if half_read else cautions


def _unicode_forms(predictions: Sequence[str | None], references: Sequence[Sequence[str]]) -> list[str]:
    """Rows whose words agree only once both texts are in one Unicode form."""
    gained = equal = 0
    for prediction, row in zip(predictions, references, strict=True):
        texts = [prediction or "", *row]
        if all(unicodedata.is_normalized("NFC", text) for text in texts):
            continue
        composed = [unicodedata.normalize("NFC", text) for text in texts]
        gained += _most_shared(composed) > _most_shared(texts)
        equal += composed[0] in composed[1:] and texts[0] not in texts[1:]
    if not gained:
        return []
    return [
        f"in {gained:,} of {len(references):,} rows words of prediction and reference differ only in their Unicode "
        f"form (é as one character or as two) and score as different; {equal:,} of these rows are equal otherwise: "
        "write both in NFC (unicodedata.normalize), in train too, and score again"
    ]


def _most_shared(texts: Sequence[str]) -> int:
    """Words of the first text that the nearest of the others has too."""
    first, *others = (set(text.split()) for text in texts)
    return max((len(first & words) for words in others), default=0)


def _unread_words(references: Sequence[Sequence[str]]) -> list[str]:
    """The share of words in letters that rouge_score leaves out."""
    words = [word for row in references for text in row if not text.isascii() for word in fold_words(text)]
    unread = sum(not READ.search(word) for word in words)
    total = len(words) + sum(len(text.split()) for row in references for text in row if text.isascii())
    if unread <= UNREAD * total:
        return []
    return [
        f"ROUGE does not read {percent(unread / total)} of the words of the references: rouge_score knows a-z and 0-9 "
        "alone; add --metrics rouge_unicode, which reads every script"
    ]
