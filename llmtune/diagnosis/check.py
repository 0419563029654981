"""One finding of the diagnosis: what was looked at, what was seen, and what to do about it."""

from dataclasses import dataclass, field
from typing import Any

PASS, FAIL, NOT_ENOUGH_DATA, NOT_APPLICABLE = "pass", "fail", "not_enough_data", "not_applicable"


@dataclass(frozen=True)
class Check:
    """A line of verdict.json.

    Args:
        check: its name, as in the design (leakage, fairness …).
        status: one of the four above.
        finding: one sentence that a manager understands.
        numbers: what the finding rests on, JSON values.
        remedy: what to do, with the argument to set; empty where nothing is to be done.
    """

    check: str
    status: str
    finding: str
    numbers: dict[str, Any] = field(default_factory=dict)
    remedy: str = ""
