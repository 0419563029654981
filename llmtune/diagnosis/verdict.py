"""The checks together: ready, not ready, or not enough data to say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmtune.diagnosis.check import FAIL, NOT_ENOUGH_DATA, PASS, Check

READY, NOT_READY = "ready", "not_ready"
INFORMING = ("calibration", "threshold", "label_noise")  # these never decide
NEEDED = ("evidence", "targets", "accuracy_paradox")  # without enough data for one of these nothing is decided
WORDS = {READY: "Ready", NOT_READY: "Not ready", NOT_ENOUGH_DATA: "Not enough data"}
# What a person should hear first, where several checks say the same.
FIRST = ("numerics", "accuracy_paradox", "targets", "leakage", "degenerate_output", "baseline", "worse_than_base")


@dataclass(frozen=True)
class Verdict:
    """The outcome of all checks.

    Args:
        verdict: ready, not_ready or not_enough_data.
        checks: in their order.
    """

    verdict: str
    checks: tuple[Check, ...]

    @property
    def deciding(self) -> tuple[Check, ...]:
        """The checks that made the verdict, the most telling first."""
        if self.verdict == NOT_READY:
            found = [check for check in self.checks if check.status == FAIL and check.check not in INFORMING]
        elif self.verdict == NOT_ENOUGH_DATA:
            found = [check for check in self.checks if check.status == NOT_ENOUGH_DATA and check.check in NEEDED]
        else:
            found = [check for check in self.checks if check.status == PASS and check.check in ("targets", "baseline")]
        order = {name: place for place, name in enumerate(FIRST)}
        return tuple(sorted(found, key=lambda check: order.get(check.check, len(order))))

    @property
    def sentence(self) -> str:
        """One sentence that a manager understands: the verdict and its first reason."""
        word, deciding = WORDS[self.verdict], self.deciding
        if not deciding:
            return f"{word}."
        more = len(deciding) - 1 if self.verdict == NOT_READY else 0
        # A finding's first clause says it; the rest stands with its check.
        reason = deciding[0].finding.partition("; ")[0]
        return f"{word}: {reason}" + (f" (and {more} check{'s' if more > 1 else ''} more)." if more else ".")

    def to_json(self) -> dict[str, Any]:
        """The content of `verdict.json`."""
        return {"verdict": self.verdict, "checks": [check.to_json() for check in self.checks]}


def combine(checks: Sequence[Check]) -> Verdict:
    """A gating failure is not ready; else missing evidence is not enough data; else ready."""
    if any(check.status == FAIL and check.check not in INFORMING for check in checks):
        return Verdict(NOT_READY, tuple(checks))
    if any(check.status == NOT_ENOUGH_DATA and check.check in NEEDED for check in checks):
        return Verdict(NOT_ENOUGH_DATA, tuple(checks))
    return Verdict(READY, tuple(checks))
