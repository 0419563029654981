"""What the tasks share that name labels of a text, one or several: the head, and the table that prediction writes."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmtune.predictions import Predictions
from llmtune.tasks.sequence_task import SequenceTask, only_finite
from llmtune.tasks.task import Encoded
from llmtune.terminal.console import label_typo_lines


@dataclass(frozen=True)
class LabelTask(SequenceTask):
    """A sequence task whose c outputs are about a label each.

    Args:
        label_names: the c labels, in the order of the logits.
    """

    label_names: tuple[str, ...]

    def head_config(self) -> dict[str, Any]:
        """Config values that size and name the classification head."""
        return {
            "num_labels": len(self.label_names),
            "id2label": dict(enumerate(self.label_names)),
            "label2id": {name: i for i, name in enumerate(self.label_names)},
            "problem_type": self.problem_type,
        }

    @abstractmethod
    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Of each label, float64 (n, c); NaN where a logit is not finite."""

    @abstractmethod
    def decide(self, probabilities: np.ndarray) -> Sequence[Any]:
        """The prediction of each row."""

    @abstractmethod
    def count_lines(self, predictions: Sequence[Any]) -> list[str]:
        """How often each label was predicted; None where a row has no prediction."""

    def predicted_columns(self, outputs: Any, encoded: Encoded) -> tuple[dict[str, list[Any]], list[str]]:
        """The texts, `prediction` and `probability[LABEL]` of each label; a row that is not finite has neither."""
        probabilities = self.probabilities(outputs)
        finite = np.isfinite(probabilities).all(axis=1)
        predictions, unfit = only_finite(self.decide(probabilities), finite)
        columns: dict[str, list[Any]] = {**self.inputs(encoded.rows), "prediction": predictions}
        for name, of_label in zip(self.label_names, probabilities.T.tolist(), strict=True):
            columns[f"probability[{name}]"] = only_finite(of_label, finite)[0]
        return columns, [*self.count_lines(predictions), *unfit]

    def cautions(self, test: Predictions, facts: Mapping[str, Any]) -> list[str]:
        """Labels that are probably one."""
        return label_typo_lines([split["classes"] for split in facts["data"].values()])
