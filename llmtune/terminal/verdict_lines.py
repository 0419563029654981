"""The verdict of a run: verdict.json, and a block at the terminal whose first sentence is enough for a manager."""

from pathlib import Path

from llmtune.diagnosis.check import FAIL, NOT_APPLICABLE, NOT_ENOUGH_DATA, PASS, Check
from llmtune.diagnosis.verdict import INFORMING, Verdict
from llmtune.terminal.console import Terminal

MARKS = {FAIL: "✗", NOT_ENOUGH_DATA: "?", PASS: "✓"}


def show_verdict(terminal: Terminal, verdict: Verdict, where: Path | None = None) -> None:
    """The sentence, then each check with what it saw and what to do; at last what could not be checked.

    Args:
        terminal: prints.
        verdict: of all checks.
        where: verdict.json was written, which holds the numbers.
    """
    judged = sorted((check for check in verdict.checks if check.status in MARKS), key=_urgency)
    lines = [line for check in judged for line in check_lines(check)]
    left_out = [check for check in verdict.checks if check.status == NOT_APPLICABLE]
    if left_out:
        lines.append("not checked: " + ", ".join(check.check for check in left_out))
    if where is not None:
        lines.append(f"the numbers are in {where / 'verdict.json'}")
    terminal.block(verdict.sentence, lines)


def _urgency(check: Check) -> int:
    """Failing checks first, those for information after those that decide."""
    return 2 * list(MARKS).index(check.status) + (check.check in INFORMING)


def check_lines(check: Check) -> list[str]:
    """One line on what was seen, and one on what to do where something is wrong."""
    informs = " (for information)" if check.check in INFORMING and check.status == FAIL else ""
    seen = f"{MARKS[check.status]} {check.check}{informs}: {check.finding}"
    return [seen, f"    → {check.remedy}"] if check.remedy and check.status != PASS else [seen]
