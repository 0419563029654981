"""One judgement: what a check saw, the numbers, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PASS, FAIL = "pass", "fail"
NOT_ENOUGH_DATA, NOT_APPLICABLE = "not_enough_data", "not_applicable"


@dataclass(frozen=True)
class Check:
    """The outcome of one check.

    Args:
        check: its name in verdict.json.
        status: pass, fail, not_enough_data or not_applicable.
        finding: one sentence for somebody who knows the task and no statistics.
        numbers: behind the finding, JSON values.
        remedy: the argument to set, the rows to relabel or to add; empty where nothing is to do.
    """

    check: str
    status: str
    finding: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        """The five keys of `verdict.json`."""
        return {
            "check": self.check,
            "status": self.status,
            "finding": self.finding,
            "numbers": dict(self.numbers),
            "remedy": self.remedy,
        }


def not_applicable(check: str, reason: str) -> Check:
    """A check that these inputs don't allow, with the reason."""
    return Check(check, NOT_APPLICABLE, reason)


def percent(share: float) -> str:
    """`12 %`, and one decimal near both ends, where it matters.

    >>> percent(0.12), percent(0.984), percent(0.0312), percent(1.0)
    ('12 %', '98.4 %', '3.1 %', '100 %')
    """
    near_an_end = 0 < share < 0.05 or 0.95 < share < 1
    # 99.96 % must not be rounded to a perfect score, nor 0.04 % to none.
    digits = 2 if 0 < share < 0.0005 or 0.9995 < share < 1 else 1
    return f"{share:.{digits}%}".replace("%", " %") if near_an_end else f"{share:.0%}".replace("%", " %")
