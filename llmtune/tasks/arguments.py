"""The arguments that every task has: more metrics, and what the verdict requires of them."""

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
