"""Multi-label classification (topics, emotions, kinds of abuse): one text → any of c labels, perhaps none."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import datasets
import numpy as np
from scipy import special

from llmtune.arguments import DataArguments
from llmtune.arguments.parser import Arguments
from llmtune.baselines import majority_set, tfidf_one_vs_rest
from llmtune.data import Fingerprint, Splits, load_split, load_splits
from llmtune.data.label_sets import LABELS, gather_label_sets
from llmtune.data.named_ids import name_labels, read_label_names
from llmtune.data.rows import Rows
from llmtune.diagnosis.leakage import Examples
from llmtune.errors import InputError
from llmtune.metrics import Score
from llmtune.metrics.core.base import with_interval
from llmtune.predictions import Predictions, make_predictions
from llmtune.predictions.table import THRESHOLDS
from llmtune.tasks.label_task import LabelTask
from llmtune.tasks.losses import ORDINAL, ClassificationLoss
from llmtune.tasks.multi_label_classification.arguments import MultiLabelClassificationArguments
from llmtune.tasks.multi_label_classification.loss import LabelSetLoss, read_positive_weights
from llmtune.tasks.task import Encoded
from llmtune.thresholds.decision import read_objective
from llmtune.thresholds.label_sets import SCOPES, LabelThresholds, choose_label_thresholds


@dataclass(frozen=True)
class MultiLabelClassification(LabelTask):
    """What a classifier of several labels does to rows and to logits.

    Args:
        thresholds: of each label, the probability from which it is predicted.
        threshold_objective: what `tune` chooses them for; none keeps them.
        threshold_scope: whether each label may have one of its own, or all have one.
        choice: what `tune` chose, and why.
        label_separator: of the training rows, between the labels of a text.
        label_columns: of the training rows, a column of 0 and 1 a label.
    """

    thresholds: tuple[float, ...]
    threshold_objective: str = "none"
    threshold_scope: str = "label"
    choice: LabelThresholds | None = None
    label_separator: str | None = None
    label_columns: tuple[str, ...] = ()

    name = "multi-label-classification"
    kind = "multilabel-classification"
    architecture = "ForSequenceClassification"
    problem_type = "multi_label_classification"
    answer_column = LABELS
    deciding_metric = "f1_micro"
    shown = ("f1_micro", "f1_macro")
    scored = ("f1_micro", "f1_macro", "f1_weighted", "f1_samples", "precision_micro", "recall_micro", "subset_accuracy")

    @property
    def objective(self) -> str:
        """What the thresholds are chosen for."""
        return self.threshold_objective

    @classmethod
    def read(cls, args: Arguments) -> Splits:
        """Texts and sets of labels; the labels are those of train.

        Raises:
            InputError: as `load_splits`; or a label of --label_columns that no row of train has.
        """
        options: MultiLabelClassificationArguments = args.task
        texts = options.text_columns
        column = LABELS if options.label_columns else options.label_column
        splits = load_splits(
            args.data,
            columns={**texts, LABELS: column},
            label_column=LABELS,
            text_columns=list(texts),
            seed=args.training.seed,
            regroup=_gathering(column, options.label_separator, options.label_columns, options.label_names),
            label_sets=True,
        )
        never = [name for name in options.label_columns if name not in splits.label_names]
        if never:
            raise InputError(
                f"{splits.fingerprints['train'].source}: column {never[0]!r} (--label_columns) is 0 in every row of "
                "train, which teaches a model nothing; leave it out, or add rows that have this label"
            )
        return splits

    @classmethod
    def _make(cls, args: Arguments, splits: Splits) -> "MultiLabelClassification":
        return cls.from_options(args.task, splits.label_names)

    @classmethod
    def from_options(
        cls, options: MultiLabelClassificationArguments, label_names: Sequence[str]
    ) -> "MultiLabelClassification":
        """The task for some labels.

        Raises:
            InputError: an unknown objective or scope, or a flag that is for one label a text.
        """
        read_objective(options.threshold_objective)
        if options.threshold_scope not in SCOPES:
            raise InputError(f"--threshold_scope {options.threshold_scope!r} is not one of {', '.join(SCOPES)}")
        for flag, default in (("positive_label", None), ("temperature", "none"), ("ordinal", False)):
            if getattr(options, flag) != default:
                raise InputError(f"--{flag}: is for one label a text, and these have several; leave it out")
        if options.loss == ORDINAL:
            raise InputError(f"--loss {ORDINAL}: is for classes in an order; take --loss cross_entropy or focal")
        return cls(
            tuple(label_names),
            (0.5,) * len(label_names),
            options.threshold_objective,
            options.threshold_scope,
            label_separator=options.label_separator,
            label_columns=tuple(options.label_columns),
            max_length=options.max_length,
        )

    @classmethod
    def from_config(cls, config: Any, name: str) -> "MultiLabelClassification":
        """The task that a trained model's config describes.

        Raises:
            InputError: the config has no labels.
        """
        if not config.id2label or config.num_labels < 2:
            raise InputError(f"{name}: its config names no labels (id2label); is it a classifier of several labels?")
        names = tuple(config.id2label[i] for i in range(config.num_labels))
        settings = config.to_dict().get("llmtune", {})
        return cls(
            names,
            tuple(settings.get(THRESHOLDS, (0.5,) * len(names))),
            label_separator=settings.get("label_separator"),
            label_columns=tuple(settings.get("label_columns", ())),
            **cls.reading_of_config(config),
        )

    def to_config(self) -> dict[str, Any]:
        """What the model's config keeps, so that prediction does what evaluation did."""
        return {
            **super().to_config(),
            THRESHOLDS: list(self.thresholds),
            **({"label_separator": self.label_separator} if self.label_separator else {}),
            **({"label_columns": list(self.label_columns)} if self.label_columns else {}),
        }

    def read_split(
        self, data: DataArguments, columns: Mapping[str, str], *, labeled: bool
    ) -> tuple[datasets.Dataset, Fingerprint]:
        """The texts, and where they are wanted `labels`, each one that the model knows; by default as in training."""
        texts = self.input_columns(columns)
        if not labeled:
            return load_split(data, "test", columns=texts, label_column=None, text_columns=list(texts))
        separator = columns.get("label_separator", self.label_separator)
        given = columns.get("label_columns")
        named = given.split("\n") if given else [] if "label_separator" in columns else list(self.label_columns)
        column = LABELS if named or columns["label"] == "label" else columns["label"]
        return load_split(
            data,
            "test",
            columns={**texts, LABELS: column},
            label_column=LABELS,
            text_columns=list(texts),
            label_names=self.label_names,
            regroup=_gathering(column, separator, named, columns.get("label_names")),
            label_sets=True,
        )

    def label_values(self, rows: datasets.Dataset) -> list[list[float]]:
        """The labels of each row as 0.0 and 1.0, in the order of the logits."""
        return self.indicators(rows).astype(np.float64).tolist()

    def indicators(self, rows: datasets.Dataset) -> np.ndarray:
        """Which labels each row has, bool (n, c)."""
        ids = {name: i for i, name in enumerate(self.label_names)}
        found = np.zeros((len(rows), len(ids)), dtype=bool)
        for row, labels in enumerate(rows[LABELS]):
            found[row, [ids[label] for label in labels]] = True
        return found

    def sets(self, indicators: np.ndarray) -> list[list[str]]:
        """Rows of 0 and 1 as lists of label names, in label order."""
        return [[self.label_names[i] for i in np.flatnonzero(row)] for row in indicators]

    def loss(self, args: Arguments, splits: Splits) -> LabelSetLoss:
        """Binary cross entropy or focal loss, positive rows weighted where --class_weights asks for it."""
        weights = read_positive_weights(args.task.class_weights, self.indicators(splits.train), self.label_names)
        smoothing = args.training.label_smoothing_factor
        return LabelSetLoss(ClassificationLoss(args.task.loss, weights, args.task.focal_gamma, smoothing))

    def reduce_logits(self, logits: Any, labels: Any) -> Any:
        """Logits (m, c) in float32; of a model with several outputs its first."""
        return (logits[0] if isinstance(logits, tuple) else logits).float()

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """The sigmoid in float64, shape (n, c); NaN where a logit is not finite."""
        logits = np.asarray(logits, dtype=np.float64)
        return np.where(np.isfinite(logits), special.expit(logits), np.nan)

    def decide(self, probabilities: np.ndarray) -> list[list[str]]:
        """The predicted labels of each row: those that reach their threshold; NaN reaches none."""
        return self.sets(probabilities >= np.array(self.thresholds))

    def tabulate(self, outputs: Any, encoded: Encoded) -> Predictions:
        """The predictions table of a split whose labels are known; every column of the rows is carried."""
        rows, probabilities = encoded.rows, self.probabilities(outputs)
        columns = {
            "reference": self.sets(self.indicators(rows)),
            "prediction": self.decide(probabilities),
            "probabilities": probabilities,
        }
        return self._table(columns, carried=self.carried(encoded), split=encoded.split)

    def _table(self, columns: Mapping[str, Any], **facts: Any) -> Predictions:
        alike = len(set(self.thresholds)) == 1
        own = {} if alike else {THRESHOLDS: list(self.thresholds)}
        threshold = self.thresholds[0] if alike else 0.5
        return make_predictions(
            self.kind,
            columns,
            label_names=self.label_names,
            threshold=threshold,
            settings=self.settings(**own),
            **facts,
        )

    def count_lines(self, predictions: Sequence[list[str] | None]) -> list[str]:
        """The rows of each label, and of none."""
        counts = Counter(label for labels in predictions for label in labels or ())
        none = sum(labels == [] for labels in predictions)
        return [", ".join(f"{name} {counts[name]:,}" for name in self.label_names) + f"; no label {none:,}"]

    def tune(self, validation: Predictions, *, seed: int) -> "MultiLabelClassification":
        """The task with the thresholds that are best on validation."""
        choice = choose_label_thresholds(validation, self.threshold_objective, self.threshold_scope, seed=seed)
        return replace(self, thresholds=choice.thresholds, choice=choice)

    def example_table(self, rows: datasets.Dataset | None = None) -> Predictions:
        """A row of each label, or the rows of a split, with probability 1 for the right ones."""
        right = np.eye(len(self.label_names), dtype=bool) if rows is None else self.indicators(rows)
        sets = self.sets(right)
        return self._table({"reference": sets, "prediction": sets, "probabilities": right.astype(np.float64)})

    def baselines(self, splits: Splits, test: Predictions) -> dict[str, Predictions]:
        """The most frequent set of train, and TF-IDF with a logistic regression a label."""
        texts, train = self.joined_texts(splits.train), self.indicators(splits.train)
        return {
            "majority set": majority_set(train, test),
            "TF-IDF + logistic regression": tfidf_one_vs_rest(texts, train, self.joined_texts(splits.test), test),
        }

    def leakage_examples(self, rows: datasets.Dataset, data: DataArguments) -> Examples:
        """As of all texts; a set of labels is compared in one order."""
        sets = [", ".join(labels) for labels in self.sets(self.indicators(rows))]
        return replace(super().leakage_examples(rows, data), labels=sets)

    def run_facts(self, predictions: Mapping[str, Predictions], *, seed: int) -> dict[str, Any]:
        """The story of the thresholds."""
        return {"threshold": None if self.choice is None else self.choice.to_json()}

    def notes(self, test: Predictions, scores: Mapping[str, Score], facts: Mapping[str, Any]) -> list[str]:
        """The thresholds, and what they change."""
        notes = [] if self.choice is None else [f"thresholds: {self.choice.reason}"]
        if "f1_micro@0.5" in scores:
            at_half, chosen = (with_interval(scores[name]) for name in ("f1_micro@0.5", "f1_micro"))
            notes.append(f"micro F1 on test at 0.5: {at_half}; at the thresholds: {chosen}")
        return notes


def _gathering(
    column: str, separator: str | None, label_columns: Sequence[str], label_names: str | None
) -> Callable[[Rows], Rows]:
    """What makes the rows of a source rows with sets of labels, named where --label_names does."""
    gather = partial(gather_label_sets, column=column, separator=separator, label_columns=label_columns)
    if label_names is None:
        return gather
    names = read_label_names(label_names)
    return lambda rows: name_labels(gather(rows), column=column, names=names)
