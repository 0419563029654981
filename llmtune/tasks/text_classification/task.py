"""Text classification (sentiment, spam): one text → one of c classes."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import datasets
import numpy as np

from llmtune.arguments import DataArguments
from llmtune.arguments.parser import Arguments
from llmtune.baselines import majority, tfidf_logistic_regression
from llmtune.data import Fingerprint, Splits, load_split, load_splits
from llmtune.data.named_ids import name_labels, read_label_names
from llmtune.data.rows import Rows
from llmtune.errors import InputError
from llmtune.metrics import Score, confusion_matrix
from llmtune.metrics.core.base import with_interval
from llmtune.predictions import Predictions, make_predictions
from llmtune.predictions.median_classes import median_classes
from llmtune.stats import softmax
from llmtune.tasks.label_task import LabelTask
from llmtune.tasks.losses import ClassificationLoss, classification_loss
from llmtune.tasks.task import Encoded
from llmtune.tasks.text_classification.arguments import TextClassificationArguments
from llmtune.text.label_names import default_positive
from llmtune.thresholds.decision import ThresholdChoice, choose_threshold, read_objective
from llmtune.thresholds.temperature import TemperatureChoice, choose_temperature, scale_probabilities


@dataclass(frozen=True)
class TextClassification(LabelTask):
    """What a text classifier does to rows and to logits.

    Args:
        positive_label: of two classes, the one a threshold is about.
        threshold: for two classes, the positive label is predicted from this probability on.
        threshold_objective: what `tune` chooses the threshold for; none keeps it.
        choice: what `tune` chose, and why.
        temperature: that logits are divided by.
        fits_temperature: whether `tune` fits it.
        temperature_choice: what the fit was, and why it was taken or not.
        ordinal: whether the classes have an order, that of `label_names`.
    """

    positive_label: str
    threshold: float = 0.5
    threshold_objective: str = "none"
    choice: ThresholdChoice | None = None
    temperature: float = 1.0
    fits_temperature: bool = False
    temperature_choice: TemperatureChoice | None = None
    ordinal: bool = False

    name = "text-classification"
    kind = "classification"
    architecture = "ForSequenceClassification"
    problem_type = "single_label_classification"

    @property
    def deciding_metric(self) -> str:
        """F1 of the positive label, with more than two classes macro F1, of classes in an order weighted kappa."""
        if self.ordinal:
            return "qwk"
        return "f1" if len(self.label_names) == 2 else "f1_macro"

    @property
    def shown(self) -> tuple[str, ...]:
        """Metrics on the line of an evaluation in training."""
        return self.deciding_metric, "log_loss"

    @property
    def objective(self) -> str:
        """What the threshold is chosen for."""
        return self.threshold_objective

    @classmethod
    def read(cls, args: Arguments) -> Splits:
        """Texts and labels; the classes are those of train."""
        texts = args.task.text_columns
        return load_splits(
            args.data,
            columns={**texts, "label": args.task.label_column},
            label_column="label",
            text_columns=list(texts),
            seed=args.training.seed,
            regroup=_naming(args.task.label_names, args.task.label_column),
        )

    @classmethod
    def _make(cls, args: Arguments, splits: Splits) -> "TextClassification":
        return cls.from_options(args.task, splits.label_names, splits.class_counts["train"])

    @classmethod
    def from_options(
        cls, options: TextClassificationArguments, label_names: Sequence[str], counts: Mapping[str, int] | None = None
    ) -> "TextClassification":
        """The task for some classes, of which train has so many rows each.

        Raises:
            InputError: the positive label is not a label, too few tokens for any text, an unknown objective, or an
                order of two classes.
        """
        positive = options.positive_label or default_positive(label_names, counts or {})
        if positive not in label_names:
            raise InputError(f"--positive_label {positive!r} is not one of the labels {', '.join(label_names)}")
        read_objective(options.threshold_objective)
        if options.temperature not in ("none", "auto"):
            raise InputError(f"--temperature {options.temperature!r}: expected none, or auto to fit one on validation")
        if options.ordinal and len(label_names) < 3:
            raise InputError(
                f"--ordinal: found {' and '.join(label_names)}, expected three or more in an order; leave it out"
            )
        objective, fits = options.threshold_objective, options.temperature == "auto"
        names = tuple(label_names)
        return cls(
            names,
            positive,
            max_length=options.max_length,
            threshold_objective=objective,
            fits_temperature=fits,
            ordinal=options.ordinal,
        )

    @classmethod
    def from_config(cls, config: Any, name: str) -> "TextClassification":
        """The task that a trained model's config describes.

        Raises:
            InputError: the config has no classes.
        """
        if not config.id2label or config.num_labels < 2:
            raise InputError(f"{name}: its config names no classes (id2label); is it a text classifier?")
        names = tuple(config.id2label[i] for i in range(config.num_labels))
        kept = config.to_dict().get("llmtune", {})
        positive = kept.get("positive_label", default_positive(names, {}))
        threshold, temperature = kept.get("threshold", 0.5), kept.get("temperature", 1.0)
        ordinal, reading = kept.get("ordinal", False), cls.reading_of_config(config)
        return cls(names, positive, threshold, temperature=temperature, ordinal=ordinal, **reading)

    def to_config(self) -> dict[str, Any]:
        """What the model's config keeps, so that prediction does what evaluation did."""
        return {
            **super().to_config(),
            "positive_label": self.positive_label,
            "threshold": self.threshold,
            **({"temperature": self.temperature} if self.temperature != 1 else {}),
            **self._order,
        }

    @property
    def _order(self) -> dict[str, bool]:
        return {"ordinal": True} if self.ordinal else {}

    def settings(self, **more: Any) -> dict[str, Any]:
        """Of a table: also whether its classes have an order."""
        return super().settings(**self._order, **more)

    def read_split(
        self, data: DataArguments, columns: Mapping[str, str], *, labeled: bool
    ) -> tuple[datasets.Dataset, Fingerprint]:
        """The texts, and where they are wanted the labels, each one that the model knows."""
        texts = self.input_columns(columns)
        return load_split(
            data,
            "test",
            columns={**texts, "label": columns["label"]} if labeled else texts,
            label_column="label" if labeled else None,
            text_columns=list(texts),
            label_names=self.label_names if labeled else (),
            regroup=_naming(columns.get("label_names"), columns["label"]) if labeled else None,
        )

    def label_values(self, rows: datasets.Dataset) -> list[int]:
        """The class of each row, as its place among the logits."""
        ids = {name: i for i, name in enumerate(self.label_names)}
        return [ids[label] for label in rows["label"]]

    def loss(self, args: Arguments, splits: Splits) -> ClassificationLoss:
        """Cross entropy, focal or ordinal loss, weighted by class where --class_weights asks for it."""
        return classification_loss(args.task, args.training, self.label_values(splits.train), self.label_names)

    def reduce_logits(self, logits: Any, labels: Any) -> Any:
        """Log-probabilities (m, c); of a model with several outputs its first."""
        logits = logits[0] if isinstance(logits, tuple) else logits
        return logits.float().log_softmax(dim=-1)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Softmax at the temperature in float64, shape (n, c); NaN where a logit is not finite."""
        return softmax(logits / self.temperature)

    def decide(self, probabilities: np.ndarray) -> list[str]:
        """The predicted label of each row: arg-max, for two classes the threshold, and in an order the median.

        The median is off by the fewest steps in the mean: `median_classes` says why it is asked.

        A row of NaN gets the first label, of two the one that is not positive; the metrics count it as not finite.
        """
        if len(self.label_names) == 2:
            positive = self.label_names.index(self.positive_label)
            chosen = np.where(probabilities[:, positive] >= self.threshold, positive, 1 - positive)
        elif self.ordinal:
            chosen = median_classes(probabilities)
        else:
            chosen = np.nan_to_num(probabilities, nan=-1.0).argmax(axis=1)
        return [self.label_names[i] for i in chosen]

    def tabulate(self, outputs: Any, encoded: Encoded) -> Predictions:
        """The predictions table of a split whose labels are known; every column of the rows is carried."""
        rows, probabilities = encoded.rows, self.probabilities(outputs)
        columns = {
            "reference": list(rows["label"]),
            "prediction": self.decide(probabilities),
            "probabilities": list(probabilities),
        }
        return make_predictions(
            self.kind,
            columns,
            carried=self.carried(encoded),
            split=encoded.split,
            label_names=self.label_names,
            positive_label=self.positive_label,
            threshold=self.threshold,
            settings=self.settings(),
        )

    def count_lines(self, predictions: Sequence[str | None]) -> list[str]:
        """The rows of each class, and from where on a row is positive."""
        counts = Counter(predictions)
        lines = [", ".join(f"{name} {counts[name]:,}" for name in self.label_names)]
        if len(self.label_names) == 2:
            lines.append(f"{self.positive_label} from a probability of {self.threshold:.3g} on")
        return lines

    def tune(self, validation: Predictions, *, seed: int) -> "TextClassification":
        """The task with the temperature and, of two classes, the threshold that are best on validation."""
        task = self
        if self.fits_temperature:
            fit = choose_temperature(validation, seed=seed)
            task = replace(self, temperature=fit.temperature, temperature_choice=fit)
            scaled = scale_probabilities(validation.probabilities(), fit.temperature)
            columns = {"reference": validation.column("reference"), "prediction": task.decide(scaled)}
            validation = task._table({**columns, "probabilities": scaled})
        if len(self.label_names) != 2:
            return task
        choice = choose_threshold(validation, self.threshold_objective, seed=seed)
        return replace(task, threshold=choice.threshold, choice=choice)

    def example_table(self, rows: datasets.Dataset | None = None) -> Predictions:
        """A row of each class, or the rows of a split, with probability 1 for the right one."""
        names = self.label_names
        labels = names if rows is None else list(rows["label"])
        right = np.eye(len(names))[[names.index(label) for label in labels]]
        return self._table({"reference": labels, "prediction": labels, "probabilities": right})

    def _table(self, columns: Mapping[str, Any]) -> Predictions:
        return make_predictions(
            self.kind,
            columns,
            label_names=self.label_names,
            positive_label=self.positive_label,
            settings=self._order,
        )

    def baselines(self, splits: Splits, test: Predictions) -> dict[str, Predictions]:
        """The most frequent class of train, and TF-IDF with logistic regression."""
        labels = list(splits.train["label"])
        texts = self.joined_texts(splits.train), self.joined_texts(splits.test)
        return {
            "majority": majority(labels, test),
            "TF-IDF + logistic regression": tfidf_logistic_regression(texts[0], labels, texts[1], test),
        }

    def summary(self, splits: Splits, encoded: Mapping[str, Encoded]) -> list[str]:
        """As of all sequence tasks, and the order of the classes where they have one."""
        lines = super().summary(splits, encoded)
        if self.ordinal:
            lines.append(f"order of the classes: {' < '.join(self.label_names)}; --label_names lists another")
        return lines

    def run_facts(self, predictions: Mapping[str, Predictions], *, seed: int) -> dict[str, Any]:
        """The stories of the threshold and, where one was fitted, of the temperature."""
        facts = {"threshold": _as_json(self.choice)}
        return {**facts, "temperature": _as_json(self.temperature_choice)} if self.fits_temperature else facts

    def notes(self, test: Predictions, scores: Mapping[str, Score], facts: Mapping[str, Any]) -> list[str]:
        """The threshold, and what it changes."""
        notes = [] if self.choice is None else [f"threshold {self.choice.reason}"]
        notes += [] if self.temperature_choice is None else [f"temperature {self.temperature_choice.reason}"]
        if "f1@0.5" in scores:
            at_half, chosen = (with_interval(scores[name]) for name in ("f1@0.5", "f1"))
            notes.append(f"F1 of {test.positive_name} on test at 0.5: {at_half}; at the threshold: {chosen}")
        if self.ordinal:
            right, near = (scores[name].value or 0.0 for name in ("accuracy", "within_one_step"))
            notes.append(f"{right:.1%} right, {near - right:.1%} one step off, {1 - near:.1%} further")
        undefined = next((score.reason for score in scores.values() if score.value is None), None)
        return [*notes, f"undefined: {undefined}"] if undefined else notes

    def confusion(self, table: Predictions) -> tuple[np.ndarray, tuple[str, ...]]:
        """The confusion matrix."""
        reference, prediction = (table.label_ids(name) for name in ("reference", "prediction"))
        return confusion_matrix(reference, prediction, len(self.label_names)), self.label_names


def _naming(label_names: str | None, column: str) -> Callable[[Rows], Rows] | None:
    """What names the labels of a source, where --label_names does."""
    return partial(name_labels, column=column, names=read_label_names(label_names)) if label_names else None


def _as_json(choice: ThresholdChoice | TemperatureChoice | None) -> dict[str, Any] | None:
    """What run.json keeps of a choice: a number that is not there is null."""
    if choice is None:
        return None
    return {name: None if value != value else value for name, value in asdict(choice).items()}
