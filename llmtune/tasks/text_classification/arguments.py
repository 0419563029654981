"""Arguments of text classification: columns, loss, threshold and targets."""

from dataclasses import dataclass, field

from llmtune.tasks.arguments import SequenceArguments


@dataclass
class TextClassificationArguments(SequenceArguments):
    """What a text classifier reads and how it is judged."""

    label_column: str = field(default="label", metadata={"help": "the class, as text or number"})
    label_names: str | None = field(
        default=None, metadata={"help": "names of labels that are ids: 0=ham,1=spam, or ham,spam for 0 and 1"}
    )
    positive_label: str | None = field(
        default=None,
        metadata={
            "help": "of two classes, the one that precision, recall and F1 are about; default the one that is looked "
            "for (spam, toxic, yes, 1 …), else the rarer"
        },
    )
    class_weights: str = field(
        default="none", metadata={"help": "none, balanced (n / (classes x rows of the class)), or a,b,… in label order"}
    )
    ordinal: bool = field(
        default=False,
        metadata={
            "help": "classes in an order (stars, grades): of numbers their size, else as --label_names lists them. "
            "Answered by the median class, judged by quadratically weighted kappa (qwk)"
        },
    )
    loss: str = field(
        default="cross_entropy",
        metadata={
            "help": "cross_entropy, focal (Lin et al. 2017), or with --ordinal cumulative: a miss counts every border "
            "between the classes that it crosses"
        },
    )
    focal_gamma: float = field(default=2.0, metadata={"help": "gamma of the focal loss, 0 or more; 0 is cross entropy"})
    threshold_objective: str = field(
        default="f1",
        metadata={
            "help": "two classes: the decision threshold is chosen on validation for f1, fbeta:2, recall>=0.95 or "
            "precision>=0.9; 0.5 stays unless the gain is real; none keeps 0.5"
        },
    )
    temperature: str = field(
        default="none",
        metadata={
            "help": "auto: divide the logits by a number fitted on validation, where log loss falls beyond chance; "
            "kept with the model, so that the probabilities of llmtune predict hold"
        },
    )
