"""The targets of a model, `recall[spam]>=0.8,accuracy>=0.85`, read from --targets."""

import math
import re
from dataclasses import dataclass

from llmtune.errors import InputError

EXAMPLE = "recall[spam]>=0.8,accuracy>=0.85 (quote it: > is the shell's)"
# A label may hold anything, commas too: what stands in brackets belongs to the name.
TARGET = re.compile(
    r"\s*(?P<metric>[A-Za-z][\w@.+-]*?)\s*(\[(?P<label>[^\]]*)\])?\s*(?P<sign>[<>]=)\s*(?P<value>[^,]*)"
)


@dataclass(frozen=True)
class Target:
    """One target.

    Args:
        metric: its name, without the label.
        label: of a metric of one class, else None.
        at_least: whether the value is a floor; else it is a ceiling.
        value: to be reached.
    """

    metric: str
    label: str | None
    at_least: bool
    value: float

    @property
    def name(self) -> str:
        """The metric's key in metrics.json."""
        return self.metric if self.label is None else f"{self.metric}[{self.label}]"

    def __str__(self) -> str:
        return f"{self.name}{'>=' if self.at_least else '<='}{self.value:g}"


def read_targets(text: str | None) -> tuple[Target, ...]:
    """The targets of a comma-separated list; none for an empty text.

    Raises:
        InputError: a piece that is no target.

    >>> [str(target) for target in read_targets("recall[spam]>=0.8, log_loss<=0.3")]
    ['recall[spam]>=0.8', 'log_loss<=0.3']
    """
    targets: list[Target] = []
    rest = (text or "").strip()
    while rest:
        match = TARGET.match(rest)
        if match is None:
            raise InputError(f"--targets {rest!r}: expected METRIC>=VALUE or METRIC<=VALUE, such as {EXAMPLE}")
        try:
            value = float(match["value"])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InputError(f"--targets {match[0].strip()!r}: {match['value']!r} is not a number")
        targets.append(Target(match["metric"], match["label"], match["sign"] == ">=", value))
        rest = rest[match.end() :].lstrip(", ")
    return tuple(targets)
