"""`llmtune compare`: B against A on every metric, McNemar's test, and the rows that made the difference."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, TypeGuard

import numpy as np

from llmtune.comparison.alignment import same_rows
from llmtune.comparison.paired import McNemar, PairedComparison, PairedTables
from llmtune.errors import InputError
from llmtune.metrics import Metric, available_metrics
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import DECIDING_METRIC, deciding_metric


@dataclass(frozen=True)
class Comparison:
    """B against A on n rows.

    Args:
        kind: of both tables.
        split: of both tables.
        rows: n.
        differences: by metric; the first one decides.
        mcnemar: for classification.
        wins: row numbers where B is better (for classification: right where A is wrong), the clearest first.
        losses: where it is worse.
        notes: what else is to be known.
        identical: whether the two give the same answer on every row (probabilities may differ).
    """

    kind: str
    split: str
    rows: int
    differences: tuple[PairedComparison, ...]
    mcnemar: McNemar | None
    wins: tuple[int, ...]
    losses: tuple[int, ...]
    notes: tuple[str, ...] = ()
    identical: bool = False

    @property
    def main(self) -> PairedComparison:
        """The metric that decides."""
        return self.differences[0]

    @property
    def significantly_worse(self) -> bool:
        """B is worse beyond chance on the main metric; below its evidence floor McNemar's test decides."""
        if self._is_by_mcnemar(self.mcnemar):
            return self.mcnemar.p < 0.05 and self.mcnemar.only_a > self.mcnemar.only_b
        return self.main.significantly_worse

    @property
    def significantly_better(self) -> bool:
        """B is better beyond chance, likewise."""
        if self._is_by_mcnemar(self.mcnemar):
            return self.mcnemar.p < 0.05 and self.mcnemar.only_b > self.mcnemar.only_a
        return self.main.significantly_better

    def _is_by_mcnemar(self, test: McNemar | None) -> TypeGuard[McNemar]:
        return test is not None and self.main.low is None and self.main.a is not None and self.main.b is not None

    def to_json(self) -> dict[str, Any]:
        """comparison.json."""
        return asdict(self) | {"main": self.main.metric, "significantly_worse": self.significantly_worse}


def compare_predictions(
    a: Predictions, b: Predictions, *, names: tuple[str, str] = ("A", "B"), metric: str | None = None, seed: int = 42
) -> Comparison:
    """Compares B with A.

    Args:
        a: the table of what is in use.
        b: of what might replace it; the same rows in the same order.
        names: of both, for messages.
        metric: the one that decides; default `kinds.deciding_metric` of A.
        seed: of the bootstraps.

    Raises:
        InputError: the tables are not about the same rows, or have no such metric.
    """
    b = same_rows(a, b, names)
    pair = PairedTables(a, b, seed)
    notes = []
    asked = (metric, b.settings.get(DECIDING_METRIC))  # that of A is among them by itself
    found = available_metrics(pair.both, metrics=[name for name in asked if name is not None])
    if a.kind.token_metrics and a.column("tokens") != b.column("tokens"):
        notes.append("A and B cut these texts into different tokens: perplexity and token accuracy are not comparable")
        found = {name: one for name, one in found.items() if name not in a.kind.token_metrics}
    main = _main_metric(a, found, metric)
    notes += [] if metric else _decided_otherwise(a, b, main, found)
    shown = [name for name in found if (name in a.kind.compared if a.kind.compared else "[" not in name)]
    if (test := pair.diebold_mariano(found[main])) is not None:
        notes.append(f"Diebold-Mariano, corrected for small samples: statistic {test.statistic:.2f}, p = {test.p:.4g}")
    order = [main, *(name for name in shown if name != main)]
    mcnemar, gain = pair.mcnemar() if a.kind.single_label else (None, pair.gain_of_rows(found[main]))
    return Comparison(
        a.kind.name,
        a.split,
        len(a),
        tuple(pair.compare(found[name]) for name in order),
        mcnemar,
        wins=tuple(int(row) for row in np.argsort(-gain, kind="stable") if gain[row] > 0),
        losses=tuple(int(row) for row in np.argsort(gain, kind="stable") if gain[row] < 0),
        notes=tuple(notes),
        identical=all(a.column(name) == b.column(name) for name in a.kind.required if name != "reference"),
    )


def _main_metric(a: Predictions, found: dict[str, Metric], metric: str | None) -> str:
    if metric is not None and metric not in found:
        raise InputError(f"--metric {metric!r} is not one of these tables' {', '.join(found)}")
    main = metric or deciding_metric(a, found)
    if main is None:
        raise InputError(
            "these tables allow no metric in common; give both the column 'bytes', for bits_per_byte, or 'words'"
        )
    return main


def _decided_otherwise(a: Predictions, b: Predictions, main: str, found: Collection[str]) -> list[str]:
    """Notes where a model was steered by another metric than the one that decides, and the reader named none."""
    steered = {name: str(table.settings.get(DECIDING_METRIC) or main) for name, table in (("A", a), ("B", b))}
    notes = [
        f"{name}'s run was steered by {metric}, which its predictions alone do not give: {main} decides here"
        for name, metric in steered.items()
        if metric not in found
    ]
    if steered["B"] != main and steered["B"] in found:
        of_a = (
            f"A's run was steered by {main}, B's" if a.settings.get(DECIDING_METRIC) == main else "B's run was steered"
        )
        notes.append(f"{of_a} by {steered['B']}: {main} decides here; --metric {steered['B']} asks for the other")
    return notes
