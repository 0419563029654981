"""`llmtune compare A B`: the same rows, two models; whether B is significantly better or worse, and on which rows."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from llmtune.commands.tables import find_tables, open_table
from llmtune.comparison.differences import Comparison, compare_predictions
from llmtune.comparison.paired import PairedComparison
from llmtune.errors import InputError
from llmtune.predictions import Predictions
from llmtune.runs.folder import write_json
from llmtune.terminal.comparison_lines import (
    counts,
    cut,
    difference_cell,
    finding,
    legend,
    mcnemar_lines,
    number,
    reasons,
)
from llmtune.terminal.console import Terminal, plain_table


def compare(
    *,
    a: str,
    b: str,
    kind: str | None = None,
    labels: str | None = None,
    positive_label: str | None = None,
    metric: str | None = None,
    fail_if_worse: bool = False,
    show: int = 5,
    output_dir: str | None = None,
    seed: int = 42,
) -> int:
    """Prints the comparison; 1 where `fail_if_worse` is asked and B is significantly worse, else 0."""
    tables = [
        open_table(find_tables(source, "test")[0], kind=kind, labels=labels, positive_label=positive_label)
        for source in (a, b)
    ]
    try:
        found = compare_predictions(*tables, names=(a, b), metric=metric, seed=seed)
    except ValueError as error:
        raise InputError(str(error)) from error
    show_comparison(Terminal(), found, tables, (a, b), show)
    if output_dir is not None:
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        write_json(Path(output_dir) / "comparison.json", {"a": a, "b": b, "seed": seed, **found.to_json()})
    return int(fail_if_worse and found.significantly_worse)


def show_comparison(
    terminal: Terminal, found: Comparison, tables: Sequence[Predictions], names: tuple[str, str], show: int
) -> None:
    """The numbers, the verdict, and the rows behind it."""
    terminal.block(
        f"Comparison on {found.rows:,} rows of the split {found.split}", [f"A  {names[0]}", f"B  {names[1]}", ""]
    )
    terminal.table(difference_table(found.differences))
    missing = [f"{name}: {reason}" for name, reason in reasons(found.differences)]
    terminal.block(finding(found), [*mcnemar_lines(found), counts(found), *missing, *found.notes, *legend(found)])
    for title, rows in (("B wins", found.wins), ("B loses", found.losses)):
        if rows and show > 0:
            terminal.block(f"{title}, {min(show, len(rows))} of {len(rows):,}", row_lines(tables, rows[:show]))


def difference_table(differences: Sequence[PairedComparison]) -> Table:
    """A row for each metric, the one that decides first."""
    table = plain_table("metric", "A", "B", "B - A [95 % interval]", "detectable")
    for one in differences:
        name = one.metric if one.higher_is_better else f"{one.metric} ↓"
        table.add_row(name, number(one.a), number(one.b), difference_cell(one), number(one.min_detectable))
    return table


def row_lines(tables: Sequence[Predictions], rows: Sequence[int]) -> list[str]:
    """What the rows hold and what both models said."""
    a, b = tables
    lines = []
    for row in rows:
        cells = {"reference": a, "text": a, "source": a, "question": a}
        shown = [f"{name} {cut(of.table.column(name)[row].as_py())}" for name, of in cells.items() if of.has(name)]
        said = [
            f"{name} {cut(of.table.column('prediction')[row].as_py())}"
            for name, of in (("A", a), ("B", b))
            if of.has("prediction")
        ]
        lines.append(f"id {a.table.column('id')[row].as_py()}: " + ", ".join([*shown[:1], *said, *shown[1:]]))
    return lines
