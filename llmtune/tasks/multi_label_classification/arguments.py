"""Arguments of classification with one label a text or several: where the labels stand, and their thresholds."""

from dataclasses import dataclass, field

from llmtune.tasks.text_classification.arguments import TextClassificationArguments


@dataclass
class MultiLabelClassificationArguments(TextClassificationArguments):
    """What a classifier of several labels reads beyond one of a single label."""

    problem_type: str | None = field(
        default=None,
        metadata={
            "help": "single_label_classification or multi_label_classification (several labels a text, perhaps none); "
            "default by the labels of train"
        },
    )
    label_separator: str | None = field(
        default=None, metadata={"help": "several labels in one text, as 'toxic;insult': what stands between them"}
    )
    label_columns: list[str] = field(
        default_factory=list, metadata={"help": "several labels, a column of 0 and 1 each: toxic insult threat"}
    )
    threshold_scope: str = field(
        default="label",
        metadata={
            "help": "several labels: label (each has a threshold of its own where the gain is real, else the common "
            "one) or all (one for all)"
        },
    )
