"""The checks together: ready, not ready, not enough data to say, or no target to say it by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmtune.diagnosis.check import FAIL, NOT_APPLICABLE, NOT_ENOUGH_DATA, PASS, Check

READY, NOT_READY, NO_TARGET = "ready", "not_ready", "no_target"
INFORMING = ("calibration", "threshold", "label_noise")  # these never decide
NEEDED = ("evidence", "targets", "accuracy_paradox")  # without enough data for one of these nothing is decided
WORDS = {READY: "Ready", NOT_READY: "Not ready", NOT_ENOUGH_DATA: "Not enough data", NO_TARGET: "No target was set"}
# What a person should hear first, where several checks say the same.
FIRST = (
    "numerics",
    "saved_model",
    "accuracy_paradox",
    "targets",
    "leakage",
    "degenerate_output",
    "baseline",
    "worse_than_base",
)


@dataclass(frozen=True)
class Verdict:
    """The outcome of all checks.

    Args:
        verdict: ready, not_ready, not_enough_data or no_target.
        checks: in their order.
        headline: the number that a reader wants first, "F1 of spam 0.864 [0.786, 0.919] on 500 rows"; empty without
            scores.
    """

    verdict: str
    checks: tuple[Check, ...]
    headline: str = ""

    @property
    def deciding(self) -> tuple[Check, ...]:
        """The checks that made the verdict, the most telling first."""
        if self.verdict == NOT_READY:
            found = [check for check in self.checks if check.status == FAIL and check.check not in INFORMING]
        elif self.verdict == NOT_ENOUGH_DATA:
            found = [check for check in self.checks if check.status == NOT_ENOUGH_DATA and check.check in NEEDED]
        elif self.verdict == NO_TARGET:
            found = [check for check in self.checks if check.check == "targets"]
        else:
            found = [check for check in self.checks if check.status == PASS and check.check in ("targets", "baseline")]
        order = {name: place for place, name in enumerate(FIRST)}
        return tuple(sorted(found, key=lambda check: order.get(check.check, len(order))))

    @property
    def sentence(self) -> str:
        """What a manager reads: the number, the verdict and its first reason."""
        return f"{self.headline}. {self._verdict}" if self.headline else self._verdict

    @property
    def _verdict(self) -> str:
        word, deciding = WORDS[self.verdict], self.deciding
        if not deciding:
            return f"{word}."
        if self.verdict == NO_TARGET:
            return f"{word}: every check that decides passed; {deciding[0].remedy}."
        more = len(deciding) - 1 if self.verdict == NOT_READY else 0
        # A finding's first clause says it; the rest stands with its check.
        reason = deciding[0].finding.partition("; ")[0]
        return f"{word}: {reason}" + (f" (and {more} check{'s' if more > 1 else ''} more)." if more else ".")

    def to_json(self) -> dict[str, Any]:
        """The content of `verdict.json`."""
        return {"verdict": self.verdict, "checks": [check.to_json() for check in self.checks]}


def combine(checks: Sequence[Check], headline: str = "") -> Verdict:
    """A gating failure is not ready; else missing evidence is not enough data; else no target; else ready."""
    if any(check.status == FAIL and check.check not in INFORMING for check in checks):
        verdict = NOT_READY
    elif any(check.status == NOT_ENOUGH_DATA and check.check in NEEDED for check in checks):
        verdict = NOT_ENOUGH_DATA
    elif any(check.status == NOT_APPLICABLE and check.check == "targets" for check in checks):
        verdict = NO_TARGET
    else:
        verdict = READY
    return Verdict(verdict, tuple(checks), headline)
