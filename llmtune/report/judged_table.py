"""A judged predictions table and all that is derived of it, each part computed once: what every reader shows.

Page, card, TensorBoard and terminal read their numbers here, so that they can't differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from llmtune.diagnosis.text_cautions import text_cautions
from llmtune.diagnosis.verdict import Verdict
from llmtune.metrics import Score, available_metrics
from llmtune.metrics.core.entity_errors import EntityComparison, compare_entities
from llmtune.metrics.core.headlines import headline_names
from llmtune.metrics.core.matrix import LabelMatrix, Matrix, build_matrix, cooccurrence, label_matrices
from llmtune.metrics.core.parts import Parts, score_cell, score_parts
from llmtune.metrics.core.scoring import explain_metrics
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import deciding_metric
from llmtune.report.error_examples import ExampleTable, error_examples, sentence_scores, written_samples
from llmtune.report.probabilities import RankedClass, Slider, build_slider, calibration_bins, ranked_classes
from llmtune.report.slices import Slices, score_slices

COOCCURRENCES = {"In the references": "reference", "As predicted": "prediction"}


@dataclass(frozen=True)
class JudgedTable:
    """A predictions table with its scores, its verdict, and what is known of its run.

    Args:
        name: of the run's folder or the table's file, without the way there.
        test: the predictions that were judged.
        scores: of `test`.
        baselines: by name, the scores of simple models on the same rows.
        verdict: of all checks; None where none was made.
        run: the content of run.json; empty for a table made elsewhere.
        adapter: whether the weights are a LoRA adapter.
        own_base: whether the adapter's base lies beside it.
        slice_columns: columns of `test` whose groups are scored apart, beside those that the run's arguments name.
    """

    name: str
    test: Predictions
    scores: Mapping[str, Score]
    baselines: Mapping[str, Mapping[str, Score]] = field(default_factory=dict)
    verdict: Verdict | None = None
    run: Mapping[str, Any] = field(default_factory=dict)
    adapter: bool = False
    own_base: bool = False
    slice_columns: Sequence[str] = ()

    @cached_property
    def headlines(self) -> tuple[str, ...]:
        """The metrics that a person reads first, in order."""
        return headline_names(self.test.kind, self.scores)

    @cached_property
    def explanations(self) -> dict[str, str]:
        """By headline what the metric is, its scale and its good direction."""
        return explain_metrics(self.test, self.headlines)

    @cached_property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """By metric of ours its least and greatest possible value."""
        return {name: metric.range for name, metric in available_metrics(self.test).items()}

    @cached_property
    def main_metric(self) -> str | None:
        """The metric that decides."""
        return deciding_metric(self.test, self.scores)

    @cached_property
    def sentence_scores(self) -> tuple[str, np.ndarray] | None:
        """The score of every text or answer against its references, 0 to 100; None for other kinds."""
        return sentence_scores(self.test)

    @cached_property
    def headline_rows(self) -> list[tuple[str, str, list[str]]]:
        """Of each headline its name, its value with interval, and those of the baselines."""
        return [
            (name, score_cell(self.scores, name), [score_cell(scores, name) for scores in self.baselines.values()])
            for name in self.headlines
        ]

    @cached_property
    def entities(self) -> EntityComparison | None:
        """The entities of a table that holds its words."""
        return compare_entities(self.test) if self.test.kind.tagged and self.test.has("tokens") else None

    @cached_property
    def matrix(self) -> Matrix | None:
        """Of classes, or of entity types with the missed and the spurious; None for other kinds."""
        return build_matrix(self.test, self.entities)

    @cached_property
    def label_matrices(self) -> list[LabelMatrix]:
        """Of each label of a table with several a row: found, missed, spurious, absent."""
        return label_matrices(self.test)

    @cached_property
    def cooccurrences(self) -> list[tuple[str, Matrix]]:
        """Which labels stand together in the references, and which as predicted; empty for other kinds."""
        pairs = [(name, cooccurrence(self.test, column)) for name, column in COOCCURRENCES.items()]
        return [(name, matrix) for name, matrix in pairs if matrix is not None]

    @cached_property
    def parts(self) -> Parts:
        """The scores by class or entity type."""
        return score_parts(self.scores)

    @cached_property
    def slider(self) -> Slider | None:
        """Counts at each threshold, of two classes with finite probabilities; None otherwise."""
        return build_slider(self.test)

    @cached_property
    def ranked_classes(self) -> list[RankedClass]:
        """ROC and precision-recall curves; empty without probabilities."""
        return ranked_classes(self.test)

    @cached_property
    def calibration(self) -> list[tuple[float, float, int]]:
        """Mean confidence, observed frequency and rows of each bin that holds rows; empty without probabilities."""
        return calibration_bins(self.test)

    @cached_property
    def slices(self) -> list[Slices]:
        """Scores by length, by group of people and by slice of the data."""
        data = self.arguments("data")
        columns = [*data.get("group_columns", ()), *data.get("slice_columns", ()), *self.slice_columns]
        return score_slices(self.test, list(dict.fromkeys(columns)))

    @cached_property
    def examples(self) -> list[ExampleTable]:
        """The rows to look at."""
        tables = error_examples(self.test, self.entities, self.sentence_scores)
        return [*tables, *written_samples(self.run.get("training", {}))]

    @cached_property
    def cautions(self) -> list[str]:
        """What makes the numbers mean less than they seem, with a remedy: the run's own, then those of the texts."""
        return [*self.run.get("cautions", ()), *text_cautions(self.test, self.scores)]

    @property
    def is_private(self) -> bool:
        """Whether the run was told to show no texts of its rows (--no_examples): then no page does."""
        return bool(self.arguments("data").get("no_examples"))

    def arguments(self, group: str) -> Mapping[str, Any]:
        """The run's arguments of a group; empty where there was no run."""
        arguments: Mapping[str, Any] = self.run.get("arguments", {}).get(group, {})
        return arguments
