"""The thresholds of several labels a row: one for all, and one of its own for a label where that gains for sure.

The common one is sought on all rows and labels together (micro F1), in intervals that draw whole rows; then each label
with enough rows by itself, against the common one. Where c labels are tried, the intervals are of level 1 - 0.05 / c
(Bonferroni), or some label would gain by chance.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from llmtune.evidence import ENOUGH
from llmtune.predictions import Predictions
from llmtune.thresholds.decision import ThresholdChoice, search_threshold

SCOPES = ("label", "all")


@dataclass(frozen=True)
class LabelThresholds:
    """The outcome of the search.

    Args:
        thresholds: of each label, in label order.
        objective: as asked for.
        common: the search on all labels together.
        of_labels: by label, the searches that gave it a threshold of its own.
    """

    thresholds: tuple[float, ...]
    objective: str
    common: ThresholdChoice
    of_labels: dict[str, ThresholdChoice] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Why these, in one sentence."""
        own = ", ".join(f"{label} {choice.threshold:.3g}" for label, choice in self.of_labels.items())
        said = f"for every label {self.common.reason}"
        return f"{said}; of their own, significantly better on validation: {own}" if own else said

    def to_json(self) -> dict[str, Any]:
        """For run.json; a number that is not there is null."""
        own = {label: _plain(choice) for label, choice in self.of_labels.items()}
        known = {"thresholds": list(self.thresholds), "objective": self.objective, "reason": self.reason}
        return {**known, "common": _plain(self.common), "of_labels": own}


def choose_label_thresholds(
    validation: Predictions, objective: str, scope: str = "label", *, seed: int = 0
) -> LabelThresholds:
    """Chooses the thresholds on a validation table of several labels.

    Args:
        validation: with probabilities; rows whose probabilities are not finite take no part.
        objective: f1, fbeta:B, recall>=R, precision>=P or none; of all labels together, and of each.
        scope: label, or all for one threshold alone.
        seed: of the bootstrap.

    Raises:
        InputError: an unknown objective.
    """
    probabilities = validation.probabilities()
    finite = np.isfinite(probabilities).all(axis=1)
    truth, probabilities = validation.label_sets("reference")[finite], probabilities[finite]
    n, c = truth.shape
    rows = np.repeat(np.arange(n), c)
    common = search_threshold(truth.ravel(), probabilities.ravel(), objective, "any label", rows=rows, seed=seed)
    thresholds, own = np.full(c, common.threshold), {}
    for label, name in enumerate(validation.label_names):
        if scope != "label" or objective == "none" or truth[:, label].sum() < ENOUGH:
            continue
        choice = search_threshold(
            truth[:, label],
            probabilities[:, label],
            objective,
            repr(name),
            default=common.threshold,
            level=1 - 0.05 / c,
            seed=seed,
        )
        if choice.threshold != common.threshold:
            thresholds[label], own[name] = choice.threshold, choice
    return LabelThresholds(tuple(float(each) for each in thresholds), objective, common, own)


def _plain(choice: ThresholdChoice) -> dict[str, Any]:
    return {name: None if value != value else value for name, value in asdict(choice).items()}
