"""All that a report shows, in one object: made from a run folder or a table, without the model.

Page, card, terminal and JSON read their numbers here, so that they can't differ. Letters: n rows, c classes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from llmtune.diagnosis.verdict import Verdict
from llmtune.metrics import Score, confusion_matrix
from llmtune.metrics.core.base import with_interval
from llmtune.metrics.core.entity_errors import MISSED, SPURIOUS, EntityComparison, compare_entities
from llmtune.metrics.ece import reliability_curve
from llmtune.predictions import Predictions
from llmtune.runs.folder import BASE_FOLDER
from llmtune.terminal.console import headline_names
from llmtune.thresholds.decision import counts_at, counts_at_thresholds

MOST_CELLS = 16  # classes of a confusion matrix that is still read; beyond, the largest confusions are listed
MOST_PARTS = 40
# Of the slider. A model's probabilities crowd at both ends, so it has more steps there.
ENDS = (1e-5, 3e-5, 1e-4, 3e-4, 6e-4)
STEPS = 500


@dataclass(frozen=True)
class Report:
    """A judged predictions table with what is known of its run.

    Args:
        name: of the run's folder or the table's file, without the way there.
        test: the predictions that were judged.
        scores: of `test`.
        baselines: by name, the scores of simple models on the same rows.
        verdict: of all checks; None where none was made.
        run: the content of run.json; empty for a table made elsewhere.
        adapter: whether the weights are a LoRA adapter.
        own_base: whether the adapter's base lies beside it.
    """

    name: str
    test: Predictions
    scores: Mapping[str, Score]
    baselines: Mapping[str, Mapping[str, Score]] = field(default_factory=dict)
    verdict: Verdict | None = None
    run: Mapping[str, Any] = field(default_factory=dict)
    adapter: bool = False
    own_base: bool = False

    @property
    def headlines(self) -> tuple[str, ...]:
        """The metrics that a person reads first, in order."""
        if self.test.kind.single_label:
            return headline_names(self.scores)
        whole = [name for name in self.scores if "[" not in name]
        if self.test.kind.tagged:
            first = [name for name in self.test.kind.headlines if name in self.scores]
            rest = [name for name in whole if name not in first and not name.endswith("_lenient")]
            return (*first, *rest)
        return tuple(whole)

    @classmethod
    def of_run(cls, folder: Path, test: Predictions, scores: Mapping[str, Score], **known: Any) -> "Report":
        """With what the folder says beside the table; `known` are the other fields."""
        path = folder / "run.json"
        return cls(
            folder.resolve().name,
            test,
            scores,
            run=json.loads(path.read_text(encoding="utf-8")) if path.exists() else {},
            adapter=(folder / "adapter_config.json").exists(),
            own_base=(folder / BASE_FOLDER).exists(),
            **known,
        )

    def arguments(self, group: str) -> Mapping[str, Any]:
        """The run's arguments of a group; empty where there was no run."""
        found: Mapping[str, Any] = self.run.get("arguments", {}).get(group, {})
        return found


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix: rows the reference, columns the prediction.

    Args:
        rows: their names.
        columns: their names.
        counts: (rows, columns).
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: np.ndarray

    @property
    def is_small(self) -> bool:
        """Whether it is read as a table."""
        return len(self.rows) <= MOST_CELLS

    def shares(self) -> np.ndarray:
        """Each cell as a share of its row; 0 in a row without examples."""
        totals = self.counts.sum(axis=1, keepdims=True)
        return np.divide(self.counts, totals, out=np.zeros(self.counts.shape), where=totals > 0)

    def largest(self, most: int = 20) -> list[tuple[str, str, int]]:
        """The most frequent confusions as (reference, prediction, count)."""
        wrong = self.counts.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:most]
        cells = [np.unravel_index(place, wrong.shape) for place in order]
        return [(self.rows[i], self.columns[j], int(wrong[i, j])) for i, j in cells if wrong[i, j]]


def matrix_of(test: Predictions, comparison: EntityComparison | None = None) -> Matrix | None:
    """Of classes, or of entity types with the missed and the spurious; None for other kinds."""
    if test.kind.single_label:
        names = test.label_names
        return Matrix(
            names, names, confusion_matrix(test.label_ids("reference"), test.label_ids("prediction"), len(names))
        )
    if comparison is None or not comparison.types:
        return None
    return Matrix((*comparison.types, SPURIOUS), (*comparison.types, MISSED), comparison.matrix)


def entities_in(test: Predictions) -> EntityComparison | None:
    """The entities of a table that holds its words."""
    return compare_entities(test) if test.kind.tagged and test.has("tokens") else None


@dataclass(frozen=True)
class Parts:
    """Metrics named `metric[PART]`: a row for each part, a column for each metric.

    Args:
        metrics: names of the columns.
        rows: each part's name and cells.
        left_out: parts that are only in metrics.json.
    """

    metrics: tuple[str, ...]
    rows: list[tuple[str, list[str]]]
    left_out: int


def parts_of(scores: Mapping[str, Score]) -> Parts:
    """The table by class or entity type."""
    split = [name.removesuffix("]").partition("[") for name in scores if name.endswith("]")]
    metrics = tuple(dict.fromkeys(metric for metric, _, _ in split))
    parts = list(dict.fromkeys(part for _, _, part in split))
    rows = [
        (
            part,
            [with_interval(scores[name]) if (name := f"{metric}[{part}]") in scores else "" for metric in metrics],
        )
        for part in parts[:MOST_PARTS]
    ]
    return Parts(metrics, rows, max(0, len(parts) - MOST_PARTS))


@dataclass(frozen=True)
class Slider:
    """What every position of the threshold slider shows.

    Args:
        thresholds: (t,) ascending; the run's own is among them.
        hits: (t,) true positives.
        alarms: (t,) false positives.
        positives: rows of the positive label.
        negatives: all other rows.
        chosen: position of the run's own threshold.
        curve: (recall, precision) of the distinct thresholds, for the plot.
    """

    thresholds: np.ndarray
    hits: np.ndarray
    alarms: np.ndarray
    positives: int
    negatives: int
    chosen: int
    curve: tuple[np.ndarray, np.ndarray]


def slider_of(test: Predictions) -> Slider | None:
    """Counts at each threshold, of two classes with finite probabilities; None otherwise."""
    found = positive_probabilities(test)
    if found is None:
        return None
    is_positive, probability = found
    ends = np.array([*ENDS, *(1 - np.array(ENDS))])
    grid = np.unique(np.concatenate([np.arange(STEPS + 1) / STEPS, ends, [test.threshold]]))
    counts = np.array([counts_at(is_positive, probability, threshold) for threshold in grid])
    _, fine = counts_at_thresholds(is_positive, probability)
    if len(fine) > STEPS:
        fine = fine[np.linspace(0, len(fine) - 1, STEPS).round().astype(int)]
    hits, alarms = fine[:, 1, 1], fine[:, 0, 1]
    recall = hits / max(1, int(is_positive.sum()))
    return Slider(
        grid,
        counts[:, 1, 1],
        counts[:, 0, 1],
        int(is_positive.sum()),
        int((~is_positive).sum()),
        int(np.searchsorted(grid, test.threshold)),
        (recall, hits / np.maximum(1, hits + alarms)),
    )


def positive_probabilities(test: Predictions) -> tuple[np.ndarray, np.ndarray] | None:
    """Whether each row is of the positive label, and its probability; None unless two classes and all finite."""
    if not test.kind.single_label or len(test.label_names) != 2 or not test.has("probabilities"):
        return None
    probability = test.probabilities()[:, test.positive_id]
    if not np.isfinite(probability).all():
        return None
    return test.label_ids("reference") == test.positive_id, probability


def calibration_bins(test: Predictions) -> list[tuple[float, float, int]]:
    """Mean confidence, observed frequency and rows of each bin of `ece` that holds rows; empty without them."""
    if not test.kind.single_label or not test.has("probabilities"):
        return []
    probabilities = test.probabilities()
    if not np.isfinite(probabilities).all():
        return []
    positive = test.positive_id if len(test.label_names) == 2 else None
    return reliability_curve({"reference": test.label_ids("reference"), "probabilities": probabilities}, positive)
