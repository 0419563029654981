"""The rows to look at: confident errors, uncertain rows, and samples beside their references."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmtune.metrics.core.entity_errors import SENTENCE_MARKS, EntityComparison
from llmtune.metrics.token_f1 import overlap_f1
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import (
    CLASSIFICATION,
    LANGUAGE_MODELING,
    MULTILABEL_CLASSIFICATION,
    REGRESSION,
    Kind,
)
from llmtune.text.shorten import cell_text, truncated

MOST, LONGEST = 15, 500  # rows of a table, characters of a cell
WIDE = 40  # characters from which a cell needs room to break in lines
MOST_ERRORS = 20
INPUTS = ("text", "text_pair", "source", "question", "context")


@dataclass(frozen=True)
class ExampleTable:
    """A table of rows.

    Args:
        title: what they have in common.
        columns: names.
        rows: of texts, as many as columns.
        note: how they are read.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str = ""

    def is_wide(self, column: int) -> bool:
        """Whether a column holds running text."""
        return any(len(row[column]) > WIDE for row in self.rows)


def error_examples(
    test: Predictions,
    comparison: EntityComparison | None = None,
    sentences: tuple[str, np.ndarray] | None = None,
) -> list[ExampleTable]:
    """What the kind of table allows; of entities the most frequent errors of their comparison, of texts by score."""
    if comparison is not None:
        return _of_entities(comparison)
    if sentences is not None:
        return _of_texts(test, *sentences)
    return EXAMPLES[test.kind](test) if test.kind in EXAMPLES else []


def sentence_scores(test: Predictions) -> tuple[str, np.ndarray] | None:
    """The chrF of every text, or SQuAD's F1 of every answer, (n,) from 0 to 100, with its name; None of other kinds."""
    if not test.kind.free_text:
        return None
    name, score = ("F1", _answer_score) if test.kind.unanswerable else ("chrF", _text_score())
    references = [cell if isinstance(cell, list) else [cell] for cell in test.column("reference")]
    pairs = zip(test.column("prediction"), references, strict=True)
    return name, np.array([score(prediction, own) for prediction, own in pairs])


def written_samples(training: Mapping[str, Any]) -> list[ExampleTable]:
    """What a language model wrote after the same prompts at evaluations in training, spread over its steps."""
    evaluations = [entry for entry in training.get("evaluations", []) if "prompt" in (entry.get("samples") or [{}])[0]]
    if not evaluations:
        return []
    most = max(1, MOST // len(evaluations[0]["samples"]))
    places = np.unique(np.linspace(0, len(evaluations) - 1, most).round().astype(int))
    rows: list[tuple[str, ...]] = [
        (f"{evaluations[place]['step']:,}", shortened(sample["prompt"]), shortened(sample["answer"]) or "(empty)")
        for place in places
        for sample in evaluations[place]["samples"]
    ]
    return [ExampleTable("Written in training, after the same prompts", ("step", "prompt", "written"), rows)]


def shortened(value: Any) -> str:
    """A cell that is not longer than a person reads."""
    return truncated(cell_text(value), LONGEST)


def _of_classes(test: Predictions) -> list[ExampleTable]:
    reference, predicted = test.label_ids("reference"), test.label_ids("prediction")
    wrong = reference != predicted
    if not test.has("probabilities"):
        rows = np.flatnonzero(wrong)[:MOST]
        return _with_rows([_table(test, f"Wrong answers ({wrong.sum():,} in all)", rows, [])])
    probabilities = np.nan_to_num(test.probabilities())
    of_reference = probabilities[np.arange(len(test)), reference]
    if len(test.label_names) == 2:
        margin = np.abs(probabilities[:, test.positive_id] - test.threshold)
        extra = [("P(" + test.label_names[test.positive_id] + ")", probabilities[:, test.positive_id])]
        near = "Nearest to the threshold"
    else:
        ordered = np.sort(probabilities, axis=1)
        margin = ordered[:, -1] - ordered[:, -2]
        extra = [("P(predicted)", probabilities[np.arange(len(test)), predicted]), ("P(reference)", of_reference)]
        near = "Least certain: the two most probable classes are close"
    surest = np.argsort(of_reference, kind="stable")
    worst = surest[wrong[surest]][:MOST]
    return _with_rows(
        [
            _table(test, f"Most confident errors ({wrong.sum():,} wrong in all)", worst, extra),
            _table(test, near, np.argsort(margin, kind="stable")[:MOST], extra),
        ]
    )


def _of_label_sets(test: Predictions) -> list[ExampleTable]:
    reference, predicted = test.label_sets("reference"), test.label_sets("prediction")
    wrong = (reference != predicted).sum(axis=1)
    title = f"Most wrong labels ({int((wrong > 0).sum()):,} rows with one or more)"
    if not test.has("probabilities"):
        order = np.argsort(-wrong, kind="stable")
        return _with_rows([_table(test, title, order[wrong[order] > 0][:MOST], [("wrong labels", wrong)])])
    # How far each decision is on the wrong side of its threshold: the surest error of a row, and the nearest call.
    margin = np.abs(np.nan_to_num(test.probabilities()) - test.thresholds)
    surest = np.where(reference != predicted, margin, -1.0).max(axis=1)
    order = np.argsort(-surest, kind="stable")
    near = np.argsort(margin.min(axis=1), kind="stable")[:MOST]
    return _with_rows(
        [
            _table(test, title, order[surest[order] >= 0][:MOST], [("beyond the threshold", surest)]),
            _table(test, "Nearest to a threshold", near, [("from the threshold", margin.min(axis=1))]),
        ]
    )


def _of_entities(comparison: EntityComparison) -> list[ExampleTable]:
    rows: list[tuple[str, ...]] = [
        (
            f"{error.count:,}", error.kind, error.reference, error.predicted, shortened(error.words),
            shortened(error.predicted_words), f"id {error.sentences[0][0]}: {shortened(error.sentences[0][1])}",
        )
        for error in comparison.errors[:MOST_ERRORS]
    ]  # fmt: skip
    columns = ("times", "error", "reference", "predicted", "words", "predicted words", "in")
    return _with_rows([ExampleTable("Most frequent errors", columns, rows, SENTENCE_MARKS)])


def _of_texts(test: Predictions, name: str, scores: np.ndarray) -> list[ExampleTable]:
    order = np.argsort(scores, kind="stable")
    spread = order[np.unique(np.linspace(0, len(order) - 1, MOST).round().astype(int))]
    extra = [(name, scores)]
    return [
        _table(test, "Lowest-scoring outputs", order[:MOST], extra),
        _table(test, "Sample across scores", spread, extra),
    ]


def _text_score() -> Callable[[str, list[str]], float]:
    """A text against its references by chrF, 0 to 100."""
    from sacrebleu.metrics.chrf import CHRF

    chrf = CHRF()
    return lambda prediction, own: chrf.sentence_score(prediction, own).score if own else 0.0


def _answer_score(prediction: str, own: list[str]) -> float:
    """SQuAD's F1 of an answer against the best of its references, 0 to 100; no reference is the empty answer."""
    return 100 * max(overlap_f1(prediction, reference) for reference in own or [""])


def _of_numbers(test: Predictions) -> list[ExampleTable]:
    pairs = zip(test.column("reference"), test.column("prediction"), strict=True)
    errors = np.array([float(np.abs(np.array(a, dtype=float) - np.array(b, dtype=float)).mean()) for a, b in pairs])
    return [_table(test, "Largest errors", np.argsort(-errors, kind="stable")[:MOST], [("|error|", errors)])]


def _of_likelihoods(test: Predictions) -> list[ExampleTable]:
    """Documents by the bits of a byte, or where no bytes are known by the nats of a token."""
    if not test.has("text"):
        return []
    unit = "bytes" if test.has("bytes") else "tokens"
    counts = np.array(test.column(unit), dtype=np.float64)
    each = np.array(test.column("nll"), dtype=np.float64) / np.where(counts > 0, counts, np.nan)
    each, name = (each / np.log(2), "bits per byte") if unit == "bytes" else (each, "nats per token")
    scored = np.flatnonzero(np.isfinite(each))
    order = scored[np.argsort(-each[scored], kind="stable")]
    extra = [(name, each)]
    return _with_rows(
        [
            _table(test, "Predicted worst", order[:MOST], extra),
            _table(test, "Predicted best", order[::-1][:MOST], extra),
        ]
    )


def _table(test: Predictions, title: str, rows: np.ndarray, extra: Sequence[tuple[str, np.ndarray]]) -> ExampleTable:
    inputs = [name for name in INPUTS if test.has(name)]
    names = [
        "id",
        *(["time"] if test.has("time") else []),
        *inputs,
        *(name for name in ("reference", "prediction") if test.has(name)),
    ]
    columns = [test.table.column(name).take(rows).to_pylist() for name in names]
    columns += [[f"{value:.3f}" for value in values[rows]] for _, values in extra]
    cells = [tuple(shortened(value) or "(empty)" for value in row) for row in zip(*columns, strict=True)]
    return ExampleTable(title, (*names, *(name for name, _ in extra)), cells)


def _with_rows(tables: list[ExampleTable]) -> list[ExampleTable]:
    return [table for table in tables if table.rows]


EXAMPLES: dict[Kind, Callable[[Predictions], list[ExampleTable]]] = {
    CLASSIFICATION: _of_classes,
    MULTILABEL_CLASSIFICATION: _of_label_sets,
    REGRESSION: _of_numbers,
    LANGUAGE_MODELING: _of_likelihoods,
}
