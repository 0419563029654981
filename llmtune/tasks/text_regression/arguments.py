"""Arguments of text regression: columns, loss and clipping."""

from dataclasses import dataclass, field

from llmtune.tasks.arguments import SequenceArguments


@dataclass
class TextRegressionArguments(SequenceArguments):
    """What a model that scores texts reads and how it is trained."""

    label_column: str = field(default="label", metadata={"help": "the number: a score, stars, a price"})
    loss: str = field(
        default="mse", metadata={"help": "mse, mae or huber, of the target in standard deviations of train"}
    )
    huber_delta: float = field(
        default=1.0,
        metadata={"help": "standard deviations from which on the Huber loss is linear: outliers pull less"},
    )
    clip_predictions: str = field(
        default="none",
        metadata={
            "help": "none; train: no prediction beyond the least and greatest number of train; or LOW,HIGH. How many "
            "were clipped is said"
        },
    )
