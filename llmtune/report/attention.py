"""What a model that pools by attention read in some rows: the weight of each token, shown word by word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from llmtune.predictions import Predictions

COLUMN = "attention"
TYPE = pa.list_(pa.struct([("token", pa.string()), ("weight", pa.float32())]))
MOST = 12  # rows; half of them wrong answers, where there are as many
LARGEST = 3  # words that are named with their weights
INSIDE = "##"  # before a word piece that goes on with the word before it


@dataclass(frozen=True)
class AttendedText:
    """A row and the weights of its words.

    Args:
        row: its id.
        reference: its label.
        prediction: the model's.
        words: each with its share of the row's attention, 0 to 1; they sum to 1.
    """

    row: int
    reference: str
    prediction: str
    words: list[tuple[str, float]]

    @property
    def largest(self) -> str:
        """The words that got most, with their shares."""
        ranked = sorted(self.words, key=lambda word: -word[1])
        return ", ".join(f"{word} {share:.0%}" for word, share in ranked[:LARGEST])

    def shades(self) -> list[tuple[str, float]]:
        """Each word and its share, relative to the largest of the row."""
        most = max(share for _, share in self.words)
        return [(word, share / most) for word, share in self.words]


def attention_rows(test: Predictions) -> list[int]:
    """The rows whose attention a report shows: the most confident errors, then the surest right answers, by class."""
    if not test.kind.single_label or not test.has("probabilities"):
        return list(range(min(MOST, len(test))))
    reference, predicted = test.label_ids("reference"), test.label_ids("prediction")
    confidence = np.nan_to_num(test.probabilities())[np.arange(len(test)), predicted]
    surest = np.argsort(-confidence, kind="stable")
    wrong = surest[(reference != predicted)[surest]][: MOST // 2]
    right = surest[(reference == predicted)[surest]]
    by_class = [right[predicted[right] == label] for label in range(len(test.label_names))]
    # A row of each class in turn: else all would be of the class that is easy.
    turns = [(turn, label, row) for label, rows in enumerate(by_class) for turn, row in enumerate(rows[:MOST])]
    return [int(row) for row in wrong] + [int(row) for _, _, row in sorted(turns)][: MOST - len(wrong)]


def with_attention(test: Predictions, weights: Mapping[int, Sequence[tuple[str, float]]]) -> pa.Table:
    """The table with the column `attention`: of some rows each token and its weight, null in the others."""
    cells = [
        [{"token": token, "weight": weight} for token, weight in weights[row]] if row in weights else None
        for row in range(len(test))
    ]
    return test.table.append_column(COLUMN, pa.array(cells, TYPE))


def attended_texts(test: Predictions) -> list[AttendedText]:
    """The rows of a table whose attention it holds, errors first."""
    if not test.has(COLUMN):
        return []
    names = ("id", "reference", "prediction", COLUMN)
    rows = zip(*(test.column(name) for name in names), strict=True)
    texts = [AttendedText(row, str(a), str(b), _words(cell)) for row, a, b, cell in rows if cell]
    return sorted(texts, key=lambda text: text.reference == text.prediction)


def _words(cell: Sequence[dict[str, Any]]) -> list[tuple[str, float]]:
    words: list[tuple[str, float]] = []
    for piece in cell:
        token, weight = str(piece["token"]), float(piece["weight"])
        if words and token.startswith(INSIDE):
            word, share = words[-1]
            words[-1] = (word + token.removeprefix(INSIDE), share + weight)
        else:
            words.append((token, weight))
    return words
