"""A comparison in words and cells: the same at the terminal and on compare.html."""

from collections.abc import Sequence

from llmtune.comparison.differences import Comparison
from llmtune.comparison.paired import PairedComparison
from llmtune.text.shorten import cell_text, row_count, truncated_line

MOST_TEXT = 60  # characters of a cell in the list of rows


def finding(comparison: Comparison, *, a: str = "A", b: str = "B") -> str:
    """One sentence on the metric that decides; `a` and `b` are what the two are called, here and below."""
    main = comparison.main
    if comparison.identical and not main.difference:
        return f"{a} and {b} give the same answer on every one of the {comparison.rows:,} rows"
    if main.b is None or main.a is None:
        which = " and ".join(name for name, value in ((a, main.a), (b, main.b)) if value is None)
        return f"{which}: {main.name} is undefined"
    word = "worse" if comparison.significantly_worse else "better" if comparison.significantly_better else ""
    if main.low is None or main.high is None:
        if word:
            return (
                f"{b} is significantly {word} than {a} on accuracy (McNemar's exact test); on {main.name} the rows "
                "give no interval"
            )
        return f"Inconclusive: too few rows to tell whether {b} is better or worse than {a} on {main.name}"
    effect = f"{main.name}: {main.difference:+.3f}, {100 * main.level:g} % CI [{main.low:+.3f}, {main.high:+.3f}]"
    if word:
        return f"{b} is significantly {word} than {a} on {effect}"
    return f"No significant difference on {effect}; minimum detectable difference {number(main.min_detectable)}"


def detail_lines(comparison: Comparison, *, a: str = "A", b: str = "B") -> list[str]:
    """What stands below the table of differences: McNemar's test, rows won and lost, missing intervals, notes."""
    missing = [f"{metrics}: {reason}" for metrics, reason in _reasons(comparison.differences)]
    return [
        *_mcnemar_lines(comparison, a, b), _row_counts(comparison, b), *missing, *comparison.notes, _legend(comparison)
    ]  # fmt: skip


def _mcnemar_lines(comparison: Comparison, a: str, b: str) -> list[str]:
    test = comparison.mcnemar
    if test is None:  # of other kinds than classification
        return []
    right = f"only {a} is right on {test.only_a:,}, only {b} on {test.only_b:,}"
    return [f"McNemar's exact test of accuracy: {right}; p = {test.p:.4g}"]


def _row_counts(comparison: Comparison, b: str) -> str:
    alike = comparison.rows - len(comparison.wins) - len(comparison.losses)
    return (
        f"of {row_count(comparison.rows)} {b} is better on {len(comparison.wins):,}, worse on "
        f"{len(comparison.losses):,}, alike on {alike:,}"
    )


def _reasons(differences: Sequence[PairedComparison]) -> list[tuple[str, str]]:
    """Why intervals are missing: metrics joined, and the reason."""
    metrics_by_reason: dict[str, list[str]] = {}
    for pair in differences:
        if pair.reason is not None:
            metrics_by_reason.setdefault(pair.reason, []).append(pair.name)
    return [(", ".join(metrics), reason) for reason, metrics in metrics_by_reason.items()]


def _legend(comparison: Comparison) -> str:
    lower = "" if all(pair.higher_is_better for pair in comparison.differences) else "; ↓ lower is better"
    return f"detectable: the minimum difference that these rows show with 80 % power{lower}"


def metric_label(pair: PairedComparison) -> str:
    """The metric's name, of two classes with the one that it is about; marked where lower is better."""
    return pair.name if pair.higher_is_better else f"{pair.name} ↓"


def cut(value: object) -> str:
    """The value, short enough for a line."""
    return truncated_line(cell_text(value), MOST_TEXT)


def number(value: float | None) -> str:
    """Three decimals; a number too small for them in scientific form."""
    if value is None:
        return ""
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.001 else f"{value:.1e}"


def difference_cell(pair: PairedComparison) -> str:
    """`+0.012 [-0.003, +0.027]`, or the difference alone."""
    if pair.difference is None:
        return "undefined"
    alone = f"{pair.difference:+.3f}"
    return alone if pair.low is None or pair.high is None else f"{alone} [{pair.low:+.3f}, {pair.high:+.3f}]"
