"""What is true of each kind of predictions table: one record a kind, and no table keyed by kind anywhere else.

A `Kind` is its name, a string (the parquet metadata hold it as such), that knows its facts: `table.kind.metrics`. Code
asks for a fact, or keeps one dict of functions keyed by these records; it never compares names.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from llmtune.errors import InputError
from llmtune.text.words import split_at_spaces

LONG_SOURCE = 3.0  # times the words of the reference, from which on a source is shortened, not translated
DECIDING_METRIC = "deciding_metric"  # the key of a table's settings where a run was steered by another metric
# Of the positive label alone: a model that always names it reaches 0.67 (F1, balanced classes) or 1.0 (recall).
ONE_SIDED = ("f1", "f2", "f0.5", "precision", "recall")


class Table(Protocol):
    """What a kind asks of a table."""

    @property
    def kind(self) -> "Kind":
        """The record."""

    @property
    def label_names(self) -> tuple[str, ...]:
        """The classes."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What else the task keeps."""

    def has(self, name: str) -> bool:
        """Whether the table has this column."""

    def column(self, name: str) -> list[Any]:
        """The column as Python values."""


@dataclass(frozen=True, eq=False, repr=False)
class Kind(str):
    """A kind of predictions table. Equal to its name, hashed and written as it.

    Args:
        name: as the table's metadata and `--kind` say it.
        display_name: as headings say it.
        required: columns that a table must hold.
        optional: columns that metrics read where they are there.
        metrics: the metric modules that every report asks, in its order.
        decides: the metric that decides between two models, of a table whose settings name none.
        example_target: for `--targets`, quoted for the shell.
        ordinal_metrics: the modules asked too where a table's settings say that its classes have an order.
        single_label: reference and prediction are one of `label_names` each: there is a confusion matrix, McNemar's
            test, a threshold.
        multi_label: reference and prediction are lists of `label_names` each, perhaps empty, and the probabilities of
            the labels are independent.
        tagged: reference and prediction are lists of tags, one a word.
        free_text: reference and prediction are texts, or lists of accepted ones.
        unanswerable: no reference (an empty list) means that there is no answer.
        csv_lists: columns that are lists of texts, written as JSON in the cell of a csv; where a single text may stand
            for a list of one, it may here.
        csv_texts: columns of a csv whose cells stay texts: a label 01 is not the number 1, an answer 1969 is a text.
        csv_numbers: columns of a csv whose cells are numbers, or lists of numbers.
        number_columns: columns that must be finite numbers.
        input_column: what train and table call the input.
        answer_column: what train calls the answer, where simple models are trained on it.
        data_columns: what the rows of a data set of such a task hold, by canonical name: one or more ways, the usual
            one first; empty where `llmtune check` reads none.
        row_columns: columns that tell whether two tables are about the same rows.
        token_metrics: metrics that compare only where both tables cut the texts into the same tokens.
        headlines: metrics that a reader sees first; empty for all, in the order of the report.
        compared: metrics that `llmtune compare` shows; empty for all of the whole table.
        merged: metrics that a report of several runs shows; empty for the first ones.
        slice_metrics: metrics of parts of the rows; empty where parts are not scored.
        part_heading: of the table of metrics by class or type.
        pipeline_tag: of the Hub; empty where it has none.
        auto_model: the transformers class that loads such a model; empty where a run's settings name it.
        truncates: whether an input that is too long for the model is truncated, so that a card must say it.
        long_inputs: what `llmtune predict` does beyond the lines of a card.
        without_baseline: why there is no baseline to compare with.
        without_target: the same in the check that needs a target.
    """

    name: str
    display_name: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    metrics: tuple[str, ...]
    decides: Callable[[Table], str]
    example_target: str
    ordinal_metrics: tuple[str, ...] = ()
    single_label: bool = False
    multi_label: bool = False
    tagged: bool = False
    free_text: bool = False
    unanswerable: bool = False
    csv_lists: tuple[str, ...] = ()
    csv_texts: tuple[str, ...] = ("reference", "prediction")
    csv_numbers: tuple[str, ...] = ()
    number_columns: tuple[str, ...] = ()
    input_column: str = "text"
    answer_column: str | None = None
    data_columns: tuple[tuple[str, ...], ...] = ()
    row_columns: tuple[str, ...] = ("reference", "text", "text_pair", "source", "question", "time")
    token_metrics: tuple[str, ...] = ()
    headlines: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    slice_metrics: tuple[str, ...] = ()
    part_heading: str = "By class"
    pipeline_tag: str = ""
    auto_model: str = ""
    truncates: bool = True
    long_inputs: str = "`llmtune predict` answers a whole file."
    without_baseline: str = "no baseline to compare with"
    without_target: str = "and there is no simpler model to compare with"

    def __new__(cls, name: str, *facts: Any, **named: Any) -> "Kind":
        """The name as a string; the dataclass sets the facts."""
        return super().__new__(cls, name)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, here or in another process, is the record itself."""
        return kind_named, (self.name,)

    @property
    def columns(self) -> tuple[str, ...]:
        """All that metrics read."""
        return self.required + self.optional


def shortens(table: Table) -> bool:
    """Whether a text-generation table summarizes: its sources are known, and far longer than its references."""
    if not table.has("source"):
        return False
    sources = [len(split_at_spaces(text or "")) for text in table.column("source")]
    references = [len(split_at_spaces(str(first_reference(row) if row else ""))) for row in table.column("reference")]
    return float(np.median(sources)) > LONG_SOURCE * max(1.0, float(np.median(references)))


def scores_texts(table: Table) -> bool:
    """Whether a table is of texts, each with a number, and not of classes or of the steps of a series."""
    return "prediction" in table.kind.number_columns and table.has("text") and not table.has("time")


def first_reference(value: Any) -> Any:
    """The first of several references, or the only one."""
    return value[0] if isinstance(value, list) else value


def deciding_metric(table: Table, available: Collection[str], *, beside_baseline: bool = False) -> str | None:
    """The metric that decides between two models of a table; None where no metric is available.

    The only place that says so: the choice of the checkpoint writes it into the table's settings, and `compare`, the
    middle run of several seeds, the leakage drop, `--base` and the baselines ask here.

    Args:
        table: its settings name the metric that the run was steered by; else its kind decides.
        available: the metrics that the table allows.
        beside_baseline: whether the other model is a far simpler one. Then a metric of the positive label alone gives
            way to the macro F1: always naming the positive label reaches F1 0.67 on balanced classes, more than many
            an honest model, so that metric cannot tell a model from a constant answer.
    """
    wanted = [table.settings.get(DECIDING_METRIC), table.kind.decides(table)]
    if beside_baseline and table.kind.single_label:
        wanted = ["f1_macro" if name in ONE_SIDED else name for name in wanted]
    return next((name for name in wanted if name in available), next(iter(available), None))


CLASSIFICATION = Kind(
    "classification",
    "Text classification",
    required=("reference", "prediction"),
    optional=("probabilities",),
    metrics=(
        "accuracy", "balanced_accuracy", "f1", "precision", "recall", "mcc", "cohen_kappa", "roc_auc",
        "average_precision", "log_loss", "brier", "ece",
    ),
    decides=lambda table: "f1" if len(table.label_names) == 2 else "f1_macro",
    example_target="'accuracy>=0.85'",
    single_label=True,
    answer_column="label",
    data_columns=(("text", "label"),),
    headlines=(
        "accuracy", "balanced_accuracy", "f1_macro", "precision", "recall", "f1", "f1@0.5", "mcc", "roc_auc",
        "average_precision", "log_loss", "brier", "ece", "qwk", "mae_steps", "within_one_step",
    ),
    compared=(
        "accuracy", "balanced_accuracy", "f1", "f1_macro", "precision", "recall", "mcc", "roc_auc",
        "average_precision", "log_loss", "brier", "qwk", "mae_steps", "within_one_step",
    ),
    merged=("accuracy", "f1", "f1_macro", "precision", "recall", "mcc", "qwk", "mae_steps"),
    ordinal_metrics=("qwk", "steps_off"),
    slice_metrics=("accuracy", "precision", "recall"),
    pipeline_tag="text-classification",
    auto_model="AutoModelForSequenceClassification",
    long_inputs="`llmtune predict` cuts it likewise, and answers a whole file.",
    without_baseline="no baseline to compare with: --train_file lets a simple model be trained",
)  # fmt: skip
MULTILABEL_CLASSIFICATION = Kind(
    "multilabel-classification",
    "Multi-label text classification",
    required=("reference", "prediction"),
    optional=("probabilities",),
    metrics=(
        "f1", "precision", "recall", "subset_accuracy", "hamming_loss", "jaccard", "lrap", "average_precision",
        "roc_auc",
    ),
    decides=lambda table: "f1_micro",
    example_target="'f1_micro>=0.8'",
    multi_label=True,
    csv_lists=("reference", "prediction"),
    answer_column="labels",
    data_columns=(("text", "labels"),),
    headlines=(
        "f1_micro", "f1_macro", "f1_weighted", "f1_samples", "f1_micro@0.5", "f1_macro@0.5", "precision_micro",
        "recall_micro", "subset_accuracy", "hamming_loss", "jaccard_samples", "lrap", "average_precision_macro",
        "roc_auc_macro",
    ),
    compared=(
        "f1_micro", "f1_macro", "f1_weighted", "f1_samples", "precision_micro", "recall_micro", "subset_accuracy",
        "hamming_loss", "jaccard_samples", "lrap", "average_precision_macro", "roc_auc_macro",
    ),
    merged=("f1_micro", "f1_macro", "precision_micro", "recall_micro", "subset_accuracy"),
    slice_metrics=("f1_micro", "subset_accuracy"),
    part_heading="By label",
    pipeline_tag="text-classification",
    auto_model="AutoModelForSequenceClassification",
    long_inputs="`llmtune predict` cuts it likewise, and answers a whole file.",
    without_baseline="no baseline to compare with: --train_file lets a simple model be trained",
)  # fmt: skip
TOKEN_CLASSIFICATION = Kind(
    "token-classification",
    "Entities",
    required=("reference", "prediction"),
    optional=("tokens",),
    metrics=("entity_f1", "token_accuracy"),
    decides=lambda table: "entity_f1",
    example_target="'entity_f1>=0.8'",
    tagged=True,
    csv_lists=("tokens", "reference", "prediction"),
    input_column="tokens",
    answer_column="tags",
    data_columns=(("tokens", "tags"), ("text", "spans")),
    row_columns=("reference", "text", "source", "question", "time", "tokens"),
    headlines=("entity_f1", "entity_precision", "entity_recall", "entity_f2", "token_accuracy"),
    merged=("entity_f1", "entity_precision", "entity_recall"),
    slice_metrics=("entity_f1", "entity_precision", "entity_recall"),
    part_heading="By type",
    pipeline_tag="token-classification",
    auto_model="AutoModelForTokenClassification",
    long_inputs="`llmtune predict` reads longer ones in windows, and answers a whole file.",
)
TEXT_GENERATION = Kind(
    "text-generation",
    "Text generation",
    required=("reference", "prediction"),
    optional=("source",),
    metrics=("bleu", "chrf", "ter", "rouge", "length_ratio"),
    decides=lambda table: "rougeL" if shortens(table) else "bleu",
    example_target="'bleu>=25'",
    free_text=True,
    csv_lists=("reference",),
    input_column="source",
    data_columns=(("source", "target"),),
    pipeline_tag="text-generation",
    without_baseline="no baseline to compare with: it requires the table's 'source'",
    without_target="and without a column 'source' no simpler model can be built",
)
QUESTION_ANSWERING = Kind(
    "question-answering",
    "Question answering",
    required=("reference", "prediction"),
    optional=("question",),
    metrics=("token_f1", "exact_match"),
    decides=lambda table: "f1",
    example_target="'f1>=80'",
    free_text=True,
    unanswerable=True,
    csv_lists=("reference",),
    input_column="question",
    data_columns=(("question", "context", "answers"),),
    truncates=False,
    pipeline_tag="question-answering",
    auto_model="AutoModelForQuestionAnswering",
    without_baseline="no baseline to compare with: it requires the table's 'question' and 'context'",
    without_target="and without the columns 'question' and 'context' no simpler model can be built",
)
LANGUAGE_MODELING = Kind(
    "language-modeling",
    "Language modeling",
    required=("nll", "tokens"),
    optional=("bytes", "words"),
    metrics=("perplexity", "bits_per_byte", "word_perplexity", "token_accuracy"),
    decides=lambda table: "perplexity",
    example_target="'perplexity<=20'",
    csv_texts=(),
    csv_numbers=("nll", "tokens", "bytes", "words"),
    number_columns=("nll", "tokens"),
    data_columns=(("text",),),
    row_columns=("bytes", "words", "text"),
    token_metrics=("perplexity", "token_accuracy"),
    slice_metrics=("perplexity", "bits_per_byte"),
    pipeline_tag="text-generation",
    auto_model="AutoModelForCausalLM",
    truncates=False,
    long_inputs="`llmtune predict` scores a longer one in windows, and a whole file.",
    without_target="and a perplexity alone is neither good nor bad",
)
REGRESSION = Kind(
    "regression",
    "Regression",
    required=("reference", "prediction"),
    optional=("time", "last_value", "lower", "upper"),
    metrics=(
        "mse", "rmse", "mae", "smape", "mase", "r2", "pearson", "spearman", "directional_accuracy",
        "prediction_interval",
    ),
    decides=lambda table: "mse",
    example_target="'mae<=1'",
    csv_texts=(),
    csv_numbers=("reference", "prediction", "last_value", "lower", "upper"),
    number_columns=("reference", "prediction"),
    row_columns=("reference", "text", "text_pair", "source", "question", "time", "series"),
    headlines=("mse", "rmse", "mae", "pearson", "spearman"),
    slice_metrics=("mae", "rmse"),
    answer_column="label",
    data_columns=(("text", "label"),),
)  # fmt: skip
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        CLASSIFICATION, MULTILABEL_CLASSIFICATION, TOKEN_CLASSIFICATION, TEXT_GENERATION, QUESTION_ANSWERING,
        LANGUAGE_MODELING, REGRESSION,
    )
}  # fmt: skip


# What people call a kind: by the Hub's tasks, the field's words and the recipes.
SYNONYMS = {
    CLASSIFICATION: "text-classification sequence-classification sentiment sentiment-analysis spam binary multiclass",
    MULTILABEL_CLASSIFICATION: "multilabel multi-label multi-label-classification multilabel-text-classification",
    TOKEN_CLASSIFICATION: "ner entities named-entity-recognition pii sequence-labeling tagging pos",
    TEXT_GENERATION: "translation mt machine-translation summarization generation text2text-generation seq2seq",
    QUESTION_ANSWERING: "qa squad extractive-qa answers",
    LANGUAGE_MODELING: "lm causal-lm perplexity language-model",
    REGRESSION: "forecast forecasting time-series numbers text-regression scores stars",
}


def kind_named(name: str, where: str = "predictions") -> Kind:
    """The record of a kind, also by another word that people have for it (`SYNONYMS`).

    Raises:
        InputError: there is none of this name; `where` says which table asks.

    >>> kind_named("translation"), kind_named("NER")
    ('text-generation', 'token-classification')
    """
    word = name.strip().lower().replace("_", "-").replace(" ", "-")
    if word in KINDS:
        return KINDS[word]
    kind = next((kind for kind, words in SYNONYMS.items() if word in words.split()), None)
    if kind is None:
        raise InputError(f"{where}: unknown kind {name!r}; expected one of {', '.join(KINDS)}")
    return kind
