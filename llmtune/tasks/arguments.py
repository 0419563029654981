"""The arguments that every task has, and those of every task that answers a text."""

from dataclasses import dataclass, field

from llmtune.arguments.ranges import check_ranges
from llmtune.diagnosis.target_list import Target, read_targets
from llmtune.errors import InputError

LONG_TEXTS = TRUNCATE, WINDOWS = ("truncate", "windows")
POOLINGS = ("mean", "max")


@dataclass
class TaskArguments:
    """How the result of a task is judged; its subclasses add what the task reads and how it is trained.

    Attributes:
        required: `targets`, read once.
    """

    _argument_group_name = "task"

    metrics: list[str] = field(
        default_factory=list,
        metadata={"help": "more metrics: names of llmtune's, or an evaluate module by name or path"},
    )
    targets: str | None = field(
        default=None,
        metadata={"help": "what the verdict requires, joined by commas: 'f1>=0.8,recall[spam]>=0.9' (quote it)"},
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        self.required: tuple[Target, ...] = read_targets(self.targets)


@dataclass
class SequenceArguments(TaskArguments):
    """What a task of one answer a text reads (`SequenceTask`)."""

    text_column: str = field(default="text", metadata={"help": "the text"})
    text_pair_column: str | None = field(default=None, metadata={"help": "pairs: the second text of each row"})
    max_length: int = field(default=256, metadata={"help": "tokens of a text, a pair or a window"})
    long_text: str = field(
        default=TRUNCATE,
        metadata={"help": "truncate, or windows: all of a text is read, the logits of its windows pooled"},
    )
    stride: int = field(default=64, metadata={"help": "tokens that windows share"})
    window_pooling: str = field(default="mean", metadata={"help": "mean or max of the windows' logits"})

    def __post_init__(self) -> None:
        super().__post_init__()
        for flag, known in (("long_text", LONG_TEXTS), ("window_pooling", POOLINGS)):
            if getattr(self, flag) not in known:
                raise InputError(f"--{flag} {getattr(self, flag)!r} is not one of {', '.join(known)}")
        for flag, default in (("stride", 64), ("window_pooling", "mean")):
            if self.long_text != WINDOWS and getattr(self, flag) != default:
                raise InputError(
                    f"--{flag} {getattr(self, flag)}: is for long texts that are read in windows; add --long_text "
                    f"{WINDOWS}, or leave it out"
                )

    @property
    def text_columns(self) -> dict[str, str]:
        """The columns of text: canonical name → the user's."""
        pair = {} if self.text_pair_column is None else {"text_pair": self.text_pair_column}
        return {"text": self.text_column, **pair}
