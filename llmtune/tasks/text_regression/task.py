"""Text regression (similarity, stars, a price): one text → a number in the target's own unit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import datasets
import numpy as np

from llmtune.arguments import DataArguments
from llmtune.arguments.parser import Arguments
from llmtune.baselines import mean_value, tfidf_ridge
from llmtune.data import Fingerprint, Splits, load_split, load_splits
from llmtune.diagnosis.leakage import Examples
from llmtune.errors import InputError
from llmtune.metrics import Score
from llmtune.predictions import Predictions, make_predictions
from llmtune.tasks.losses import RegressionLoss
from llmtune.tasks.sequence_task import SequenceTask, only_finite
from llmtune.tasks.task import Encoded
from llmtune.tasks.text_regression.arguments import TextRegressionArguments
from llmtune.tasks.text_regression.rows import center_and_size, read_limits, read_scores


@dataclass(frozen=True)
class TextRegression(SequenceTask):
    """What a model that scores texts does to rows and to its one output.

    Args:
        target_center: mean of train's numbers, which an output of 0 means.
        target_size: their standard deviation: an output of 1 is that much more.
        limits: least and greatest prediction; None where nothing is clipped.
    """

    target_center: float = 0.0
    target_size: float = 1.0
    limits: tuple[float, float] | None = None

    name = "text-regression"
    kind = "regression"
    architecture = "ForSequenceClassification"
    problem_type: ClassVar[str] = "regression"

    @property
    def deciding_metric(self) -> str:
        """Mean squared error: what is trained, and a mean over rows, so that two models compare row by row."""
        return "mse"

    @property
    def shown(self) -> tuple[str, ...]:
        """Metrics on the line of an evaluation in training."""
        return self.deciding_metric, "pearson"

    @classmethod
    def read(cls, args: Arguments) -> Splits:
        """Texts and numbers."""
        texts = args.task.text_columns
        return load_splits(
            args.data,
            columns={**texts, "label": args.task.label_column},
            label_column=None,
            text_columns=list(texts),
            seed=args.training.seed,
            convert=partial(read_scores, column=args.task.label_column),
        )

    @classmethod
    def _make(cls, args: Arguments, splits: Splits) -> "TextRegression":
        return cls.from_options(args.task, splits.train["label"], splits.fingerprints["train"].source)

    @classmethod
    def from_options(
        cls, options: TextRegressionArguments, numbers: Sequence[float], source: str = "train"
    ) -> "TextRegression":
        """The task for the numbers of train, which come from `source`.

        Raises:
            InputError: numbers that are all the same, too few tokens for any text, or a clipping that is no range.
        """
        numbers = list(numbers)
        center, size = center_and_size(numbers, source, options.label_column)
        limits = read_limits(options.clip_predictions, numbers)
        return cls(max_length=options.max_length, target_center=center, target_size=size, limits=limits)

    @classmethod
    def from_config(cls, config: Any, name: str) -> "TextRegression":
        """The task that a trained model's config describes; one made elsewhere answers in the target's unit itself.

        Raises:
            InputError: the model has several outputs.
        """
        if config.num_labels != 1:
            raise InputError(f"{name}: its head has {config.num_labels} outputs, expected 1; is it a text regressor?")
        kept = config.to_dict().get("llmtune", {})
        clip = kept.get("clip_predictions")
        return cls(
            **cls.reading_of_config(config),
            target_center=kept.get("target_center", 0.0),
            target_size=kept.get("target_size", 1.0),
            limits=None if clip is None else (clip[0], clip[1]),
        )

    def to_config(self) -> dict[str, Any]:
        """What the model's config keeps, so that prediction does what evaluation did."""
        return {
            **super().to_config(),
            "target_center": self.target_center,
            "target_size": self.target_size,
            **({} if self.limits is None else {"clip_predictions": list(self.limits)}),
        }

    def head_config(self) -> dict[str, Any]:
        """Config values of a head with one output."""
        return {"num_labels": 1, "problem_type": self.problem_type}

    def read_split(
        self, data: DataArguments, columns: Mapping[str, str], *, labeled: bool
    ) -> tuple[datasets.Dataset, Fingerprint]:
        """The texts, and where they are wanted the numbers as `label`."""
        texts = self.input_columns(columns)
        return load_split(
            data,
            "test",
            columns={**texts, "label": columns["label"]} if labeled else texts,
            label_column=None,
            text_columns=list(texts),
            convert=partial(read_scores, column=columns["label"]) if labeled else None,
        )

    def label_values(self, rows: datasets.Dataset) -> list[float]:
        """The number of each row, in standard deviations from the mean of train."""
        numbers = np.array(rows["label"], dtype=np.float64)
        return ((numbers - self.target_center) / self.target_size).tolist()

    def loss(self, args: Arguments, splits: Splits) -> RegressionLoss:
        """Of the scaled number."""
        if args.training.label_smoothing_factor:
            raise InputError(
                f"--label_smoothing_factor {args.training.label_smoothing_factor}: numbers have no classes to smooth "
                "over; leave it out"
            )
        return RegressionLoss(args.task.loss, args.task.huber_delta)

    def reduce_logits(self, logits: Any, labels: Any) -> Any:
        """The one output (m,), float32; of a model with several outputs its first."""
        return (logits[0] if isinstance(logits, tuple) else logits)[:, 0].float()

    def to_unit(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs (n,) as predictions in the target's unit, float64, clipped where that was asked for."""
        numbers = self.target_center + self.target_size * outputs.astype(np.float64)
        return numbers if self.limits is None else np.clip(numbers, *self.limits)

    def clipped(self, numbers: np.ndarray) -> str | None:
        """How many predictions stand at the limits, as a line; None where nothing is clipped."""
        if self.limits is None:
            return None
        low, high = self.limits
        count = int(((numbers <= low) | (numbers >= high)).sum())
        return f"predictions clipped to {low:g} to {high:g} (--clip_predictions): {count:,} of {len(numbers):,}"

    def tabulate(self, outputs: Any, encoded: Encoded) -> Predictions:
        """The predictions table of a split whose numbers are known; every column of the rows is carried."""
        return make_predictions(
            self.kind,
            {"reference": list(encoded.rows["label"]), "prediction": self.to_unit(outputs).tolist()},
            carried=self.carried(encoded),
            split=encoded.split,
            settings=self.settings(),
        )

    def settings(self, **more: Any) -> dict[str, Any]:
        """Of a table: also which task made it."""
        return super().settings(task=self.name, **more)

    def predicted_columns(self, outputs: Any, encoded: Encoded) -> tuple[dict[str, list[Any]], list[str]]:
        """The texts and `prediction`; a row whose output is not finite has none."""
        numbers = self.to_unit(outputs)
        finite = np.isfinite(numbers)
        predictions, unfit = only_finite(numbers.tolist(), finite)
        lines = []
        if finite.any():
            low, middle, high = np.quantile(numbers[finite], (0, 0.5, 1))
            lines.append(f"predictions from {low:.4g} to {high:.4g}, half of them below {middle:.4g}")
        clipped = self.clipped(numbers)
        lines += [] if clipped is None else [clipped]
        return {**self.inputs(encoded.rows), "prediction": predictions}, [*lines, *unfit]

    def example_table(self, rows: datasets.Dataset | None = None) -> Predictions:
        """Three numbers, or the rows of a split, all predicted right."""
        center, size = self.target_center, self.target_size
        numbers = [center - size, center, center + size] if rows is None else list(rows["label"])
        texts = [str(number) for number in numbers] if rows is None else list(rows["text"])
        columns = {"reference": numbers, "prediction": numbers}
        return make_predictions(self.kind, columns, carried={"text": texts}, settings=self.settings())

    def baselines(self, splits: Splits, test: Predictions) -> dict[str, Predictions]:
        """The mean of train, and TF-IDF with ridge regression."""
        numbers = list(splits.train["label"])
        texts = self.joined_texts(splits.train), self.joined_texts(splits.test)
        return {
            "mean": mean_value(test, numbers),
            "TF-IDF + ridge": tfidf_ridge(texts[0], numbers, texts[1], test),
        }

    def leakage_examples(self, rows: datasets.Dataset, data: DataArguments) -> Examples:
        """Texts and groups, without the numbers: two scores of a text that was edited are seldom equal to the digit."""
        return replace(super().leakage_examples(rows, data), labels=None)

    def summary(self, splits: Splits, encoded: Mapping[str, Encoded]) -> list[str]:
        """As of all sequence tasks, and the numbers of train."""
        numbers = splits.train["label"]
        scale = f"mean {self.target_center:.4g}, standard deviation {self.target_size:.4g}"
        return [
            *super().summary(splits, encoded),
            f"numbers of train: {min(numbers):.4g} to {max(numbers):.4g}, {scale}; trained on them scaled by these",
        ]

    def notes(self, test: Predictions, scores: Mapping[str, Score], facts: Mapping[str, Any]) -> list[str]:
        """The mean error, what was clipped, and what is undefined."""
        reference, numbers = (np.array(test.column(name), dtype=np.float64) for name in ("reference", "prediction"))
        notes = [f"predicted less actual, in the mean: {float((numbers - reference).mean()):+.4g}"]
        clipped = self.clipped(numbers)
        notes += [] if clipped is None else [clipped]
        undefined = next((score.reason for score in scores.values() if score.value is None), None)
        return [*notes, f"undefined: {undefined}"] if undefined else notes
