"""A comparison in words and cells: the same at the terminal and on compare.html."""

from collections.abc import Sequence

from llmtune.comparison.differences import Comparison
from llmtune.comparison.paired import PairedComparison
from llmtune.text.shorten import truncated_line

MOST_TEXT = 60  # characters of a cell in the list of rows


def finding(found: Comparison, *, a: str = "A", b: str = "B") -> str:
    """One sentence on the metric that decides; `a` and `b` are what the two are called, here and below."""
    main = found.main
    if main.b is None or main.a is None:
        which = " and ".join(name for name, value in ((a, main.a), (b, main.b)) if value is None)
        return f"{which}: {main.metric} is undefined"
    if found.significantly_worse:
        return f"{b} is significantly worse than {a} on {main.metric}" + ("" if main.low is not None else " (McNemar)")
    if main.significantly_better:
        return f"{b} is significantly better than {a} on {main.metric}"
    if main.low is None:
        return f"Inconclusive: too few rows to tell whether {b} is better or worse than {a} on {main.metric}"
    return f"No significant difference on {main.metric}; these rows would show one of {number(main.min_detectable)}"


def mcnemar_lines(found: Comparison, *, a: str = "A", b: str = "B") -> list[str]:
    """McNemar's counts and p, for classification."""
    if found.mcnemar is None:
        return []
    test = found.mcnemar
    return [f"McNemar exact: only {a} is right on {test.only_a:,}, only {b} on {test.only_b:,}; p = {test.p:.4g}"]


def legend(found: Comparison) -> list[str]:
    """What the table's marks mean."""
    lower = "" if all(one.higher_is_better for one in found.differences) else "; ↓ lower is better"
    return [f"detectable: the smallest difference that these rows show with 80 % power{lower}"]


def counts(found: Comparison, *, b: str = "B") -> str:
    """Wins, losses and ties."""
    alike = found.rows - len(found.wins) - len(found.losses)
    return (
        f"of {found.rows:,} rows {b} is better on {len(found.wins):,}, worse on {len(found.losses):,}, "
        f"alike on {alike:,}"
    )


def reasons(differences: Sequence[PairedComparison]) -> list[tuple[str, str]]:
    """Why intervals are missing: metrics joined, and the reason."""
    about: dict[str, list[str]] = {}
    for one in differences:
        if one.reason is not None:
            about.setdefault(one.reason, []).append(one.metric)
    return [(", ".join(names), reason) for reason, names in about.items()]


def cut(value: object) -> str:
    """The value, short enough for a line."""
    return truncated_line(value if isinstance(value, str) else repr(value), MOST_TEXT)


def number(value: float | None) -> str:
    """Three decimals; a number too small for them in scientific form."""
    if value is None:
        return ""
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.001 else f"{value:.1e}"


def difference_cell(one: PairedComparison) -> str:
    """`+0.012 [-0.003, +0.027]`, or the difference alone."""
    if one.difference is None:
        return "undefined"
    alone = f"{one.difference:+.3f}"
    return alone if one.low is None or one.high is None else f"{alone} [{one.low:+.3f}, {one.high:+.3f}]"
