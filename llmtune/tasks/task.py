"""What a task is: the verbs that every recipe and every command uses, whatever the task.

A recipe goes through them in this order: `read`, `from_arguments`, `for_model`, `encode_splits`, `loss`,
`validation_metrics`, `tabulate`, `tune`, `baselines`. `llmtune evaluate` and `predict` begin with `from_config` and
`read_split`. What differs between tasks stands in the task's folder; nothing outside it asks which task it has.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import datasets
import numpy as np
from transformers import EvalPrediction, PreTrainedTokenizerBase

from llmtune.arguments import DataArguments
from llmtune.arguments.data import SPLITS
from llmtune.arguments.parser import Arguments
from llmtune.baselines import table_baselines
from llmtune.data import Fingerprint
from llmtune.diagnosis.leakage import Examples
from llmtune.errors import InputError
from llmtune.metrics import Score, metric_values
from llmtune.models.loaded import LoadedModel
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import DECIDING_METRIC
from llmtune.tasks.token_cache import Entry, TokenCache

Metric = str | Callable[..., Any]  # a name, or a function of (predictions, references)


@dataclass(frozen=True)
class Encoded:
    """A split as the model reads it.

    Args:
        rows: n rows as they were read.
        dataset: the model inputs: n rows, or more where rows were cut into windows.
        split: its name.
        tokenizer: that made the inputs.
        facts: what did not fit, JSON values by the key under which run.json keeps them.
        notes: the same as lines for a person.
        index: where in the inputs each row stands, of tasks that cut rows into windows.
        cached_in: the folder that the inputs were read from; None where they were made.
    """

    rows: datasets.Dataset
    dataset: datasets.Dataset
    split: str
    tokenizer: PreTrainedTokenizerBase
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    index: Any = None
    cached_in: Path | None = None


@dataclass(frozen=True)
class Task(ABC):
    """What a model of a task reads, how it is trained and what its outputs mean.

    Args:
        metrics: more metrics than the kind's own: names, or functions of (predictions, references), which get the
            columns of the predictions table as lists and return a number or a dict of numbers.
    """

    metrics: tuple[Metric, ...] = field(default=(), kw_only=True)

    name: ClassVar[str]
    """As the model's config keeps it (`llmtune["task"]`)."""

    kind: ClassVar[str]
    """Of its predictions tables."""

    auto_model: ClassVar[Any]
    """The transformers Auto class of its models."""

    families: ClassVar[tuple[str, ...]]
    """Of models that it serves, best first, as `llmtune.models.families` names them."""

    architecture: ClassVar[str] = ""
    """The end of the class name of checkpoints made elsewhere, which do not name their task; a variant has none."""

    problem_type: ClassVar[str | None] = None
    """As transformers' config says it, of tasks that share an architecture; None of the one that has it by default."""

    scored: ClassVar[tuple[str, ...]] = ()
    """Metrics of an evaluation in training, where all of the kind would take too long; empty for all."""

    counted: ClassVar[tuple[str, ...]] = ()
    """Counts among the table's settings that an evaluation in training tells too; lower is better."""

    reads_labels: ClassVar[bool] = True
    """Whether prediction reads the labels: a decoder's row holds prompt and answer, and they tell where it begins."""

    reads_text: ClassVar[bool] = True
    """Whether its models come with a tokenizer."""

    index_type: ClassVar[type[Any] | None] = None
    """Of `Encoded.index`, of tasks that cut rows into windows: a dataclass of arrays."""

    onnx_outputs: ClassVar[tuple[str, ...]] = ()
    """Outputs of its models that answer in one pass, by transformers' names: what an exported model gives."""

    answers_rows: ClassVar[bool] = True
    """Whether `llmtune predict` answers each row; a forecast begins after the last one."""

    @property
    @abstractmethod
    def deciding_metric(self) -> str:
        """That picks the checkpoint unless --metric_for_best_model does, and decides between two models."""

    @property
    def shown(self) -> tuple[str, ...]:
        """Metrics on the line of an evaluation in training."""
        return (self.deciding_metric,)

    @property
    def objective(self) -> str | None:
        """What the decision threshold is chosen for; None of tasks without one."""
        return None

    # Making a task.

    @classmethod
    @abstractmethod
    def read(cls, args: Arguments) -> Any:
        """Train, validation and test, checked: `splits["train"]` is a Dataset, `splits.describe()` JSON values.

        Raises:
            InputError: anything in the data that would make a result wrong, by file, row and column.
        """

    @classmethod
    def from_arguments(cls, args: Arguments, splits: Any, *, metrics: Sequence[Metric] | None = None) -> Self:
        """The task of a recipe; `metrics` in the place of --metrics, to add functions to them.

        Raises:
            InputError: arguments that contradict each other or the data.
        """
        return replace(cls._make(args, splits), metrics=tuple(args.task.metrics if metrics is None else metrics))

    @classmethod
    @abstractmethod
    def _make(cls, args: Arguments, splits: Any) -> Self:
        """The task without its metrics."""

    @classmethod
    @abstractmethod
    def from_config(cls, config: Any, name: str) -> Self:
        """The task that the config of the trained model `name` describes.

        Raises:
            InputError: it describes no such task.
        """

    def read_as(self, **options: Any) -> Self:
        """The task with what a command says of the rows of a model made elsewhere; None is not said.

        Raises:
            InputError: something is said, and this task's rows are read as in training.
        """
        given = next((name for name, value in options.items() if value is not None), None)
        if given is not None:
            raise InputError(f"--{given}: a {self.name} model reads rows as in its training; leave it out")
        return self

    @abstractmethod
    def to_config(self) -> dict[str, Any]:
        """What the model's config keeps, so that prediction does what evaluation did; `from_config` reads it."""

    def head_config(self) -> dict[str, Any]:
        """Config values that size and name the head; empty where the head is the checkpoint's own."""
        return {}

    @abstractmethod
    def for_model(self, loaded: LoadedModel) -> Self:
        """The task for a loaded model: lengths that it can read, and what else follows from its family."""

    # Rows → model inputs.

    def input_columns(self, columns: Mapping[str, str]) -> dict[str, str]:
        """The columns that prediction reads: canonical name → the user's, of `columns` as `read_split` takes them."""
        return {"text": columns["text"]}

    @abstractmethod
    def read_split(
        self, data: DataArguments, columns: Mapping[str, str], *, labeled: bool
    ) -> tuple[datasets.Dataset, Fingerprint]:
        """The test split of `data`; `columns`: canonical name → the user's; the references where it is `labeled`."""

    @abstractmethod
    def train_texts(self, splits: Any) -> Sequence[str]:
        """The texts of train, from which a tokenizer from scratch is trained."""

    @abstractmethod
    def encode(self, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase, split: str = "test") -> Encoded:
        """Rows as model inputs, with labels where the rows have references."""

    def encode_splits(
        self, splits: Any, tokenizer: PreTrainedTokenizerBase, args: Arguments | None = None
    ) -> dict[str, Encoded]:
        """Train, validation and test as model inputs; with the arguments of a run those that an earlier one kept.

        Call it on every process: the first of a machine makes them, the others read what it kept.
        """
        if args is None:
            return {split: self.encode(splits[split], tokenizer, split) for split in SPLITS}
        private, overwrite = args.data.no_examples, args.data.overwrite_cache
        cache = TokenCache.for_task(self, tokenizer, overwrite=overwrite, private=private)
        if cache is None:
            return self.encode_splits(splits, tokenizer)
        with args.training.main_process_first(desc="tokenizing"):
            cache.overwrite &= args.training.local_process_index == 0
            return {split: self._encode_cached(splits[split], tokenizer, split, cache) for split in SPLITS}

    def _encode_cached(
        self, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase, split: str, cache: TokenCache
    ) -> Encoded:
        path = cache.path(self, rows, split)
        entry = cache.read(path, self.index_type)
        if entry is not None:
            return Encoded(rows, entry.inputs, split, tokenizer, entry.facts, entry.notes, entry.index, path)
        encoded = self.encode(rows, tokenizer, split)
        cache.write(path, Entry(encoded.dataset, encoded.facts, encoded.notes, encoded.index))
        return encoded

    @abstractmethod
    def data_collator(self, tokenizer: PreTrainedTokenizerBase, model: Any = None) -> Any:
        """Pads each micro-batch to its longest row."""

    # Training.

    @abstractmethod
    def loss(self, args: Arguments, splits: Any) -> Callable[..., Any]:
        """The Trainer's `compute_loss_func`: (outputs, labels, num_items_in_batch) → scalar.

        Raises:
            InputError: a loss that does not exist, or that does not fit the data.
        """

    def reduce_logits(self, logits: Any, labels: Any) -> Any:
        """On the device, for `preprocess_logits_for_metrics`: what is kept of a batch's outputs."""
        return logits

    def generation(self, tokenizer: PreTrainedTokenizerBase) -> Any:
        """How a model of this task writes, for the Trainer; None where its outputs are logits."""
        return None

    def validation_metrics(self, validation: Encoded, *, samples: bool = True) -> "ValidationMetrics":
        """The Trainer's `compute_metrics`; `samples`: whether texts of the rows may be kept."""
        return ValidationMetrics(self, validation, samples=samples)

    # Model outputs → predictions.

    @abstractmethod
    def tabulate(self, outputs: Any, encoded: Encoded) -> Predictions:
        """The predictions table of rows with references; every other column of the rows is carried.

        Args:
            outputs: of all model inputs in their order, as `reduce_logits` or the generation kept them.
            encoded: the rows and their inputs.
        """

    @abstractmethod
    def predicted_columns(self, outputs: Any, encoded: Encoded) -> tuple[dict[str, list[Any]], list[str]]:
        """The columns that `llmtune predict` writes of rows without references, and lines on them."""

    def settings(self, **more: Any) -> dict[str, Any]:
        """What a predictions table keeps of the task: `compare`, baselines and --base ask it for what decides."""
        return {DECIDING_METRIC: self.deciding_metric, **more}

    def tune(self, validation: Predictions, *, seed: int) -> Self:
        """The task with what is chosen on validation, such as a threshold."""
        return self

    # Judging.

    @abstractmethod
    def example_table(self, rows: datasets.Dataset | None = None) -> Predictions:
        """The rows of a split, all predicted right; without rows every class once, predicted right.

        The second is enough to know which metrics and targets exist, the first which of them these rows define.
        """

    def baselines(self, splits: Any, test: Predictions) -> dict[str, Predictions]:
        """Simple models on the rows of `test`, by the name that a person reads."""
        return table_baselines(test)

    @abstractmethod
    def leakage_examples(self, rows: datasets.Dataset, data: DataArguments) -> Examples:
        """The rows of a split as the check `leakage` reads them."""

    @abstractmethod
    def summary(self, splits: Any, encoded: Mapping[str, Encoded]) -> list[str]:
        """What was read and what did not fit: the lines of the block Data."""

    def run_facts(self, predictions: Mapping[str, Predictions], *, seed: int) -> dict[str, Any]:
        """What run.json keeps of the predictions beyond metrics.json; JSON values."""
        return {}

    def notes(self, test: Predictions, scores: Mapping[str, Score], facts: Mapping[str, Any]) -> list[str]:
        """What a person must know of the numbers; `facts` are those of `run_facts`."""
        return []

    def cautions(self, test: Predictions, facts: Mapping[str, Any]) -> list[str]:
        """What makes the numbers mean less than they seem, with a remedy; `facts` are those of run.json."""
        return []

    def rescored(self, table: Predictions) -> datasets.Dataset | None:
        """The rows of a table of this task, to be predicted again, so that another model is seen to be the same.

        None where the table does not hold them as they were read.
        """
        return None

    def continuations(self, model: Any, encoded: Encoded) -> Predictions | None:
        """What a language model writes after the beginnings of rows, as a text-generation table; None of other tasks.

        Call it on every process.
        """
        return None

    def confusion(self, table: Predictions) -> tuple[np.ndarray, tuple[str, ...]] | None:
        """Counts (c, c), rows the reference, and the names of rows and columns; None where there are no classes."""
        return None

    def samples(self, table: Predictions) -> list[dict[str, str]]:
        """The first rows of texts that a model wrote, shortened; empty of other tasks."""
        return []


class ValidationMetrics:
    """`compute_metrics` of a Trainer: scores whole rows as the end of the run does, whatever windows they were
    cut into; the outputs are in row order.

    Args:
        task: for the model.
        encoded: the validation rows.
        samples: whether texts of the rows may be kept.

    Attributes:
        table: of the last evaluation; None before the first.
        written: what the model wrote after the prompts that it is watched by, at the last evaluation.
    """

    def __init__(self, task: Task, encoded: Encoded, *, samples: bool = True) -> None:
        self.task, self.encoded, self.keeps_samples = task, encoded, samples
        self.table: Predictions | None = None
        self.written: list[dict[str, str]] = []

    def __call__(self, outputs: EvalPrediction) -> dict[str, float]:
        """The metrics that have a value for these rows, and the counts that the task tells."""
        self.table = self.task.tabulate(outputs.predictions, self.encoded)
        values = metric_values(self.table, self.task.scored, metrics=self.task.metrics)
        return {**values, **{name: float(self.table.settings[name]) for name in self.task.counted}}

    def confusion(self) -> tuple[np.ndarray, tuple[str, ...]] | None:
        """The confusion matrix of the last evaluation and its names."""
        return None if self.table is None else self.task.confusion(self.table)

    def positive_id(self) -> int | None:
        """Of two classes, the place of the positive one; None of others."""
        table = self.table
        return table.positive_id if table is not None and table.has_positive else None

    def label_set_names(self) -> tuple[str, ...]:
        """The labels, where a row may have several; empty for other kinds."""
        return self.table.label_names if self.table is not None and self.table.kind.multi_label else ()

    def samples(self) -> list[dict[str, str]]:
        """The first answers of the last evaluation, so that one sees the model learn to write."""
        if self.table is None or not self.keeps_samples:
            return []
        return self.written or self.task.samples(self.table)


def count_splits(counts: Mapping[str, int]) -> str:
    """Counts by split as a line says them: `train 3, test 1`, or none."""
    return ", ".join(f"{split} {n:,}" for split, n in counts.items() if n) or "none"
