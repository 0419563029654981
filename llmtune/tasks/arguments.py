"""The arguments that every task has, and those of every task that answers a text."""

from dataclasses import dataclass, field

from llmtune.diagnosis.target_list import Target, read_targets


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
        self.required: tuple[Target, ...] = read_targets(self.targets)


@dataclass
class SequenceArguments(TaskArguments):
    """What a task of one answer a text reads (`SequenceTask`)."""

    text_column: str = field(default="text", metadata={"help": "the text"})
    max_length: int = field(
        default=256, metadata={"help": "tokens a text is cut at; the share that was cut is reported"}
    )
