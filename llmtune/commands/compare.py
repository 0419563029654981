"""`llmtune compare A B`: the same rows, two models; whether B is significantly better or worse, and on which rows."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from llmtune.comparison.differences import Comparison, compare_predictions
from llmtune.comparison.paired import PairedComparison
from llmtune.errors import InputError
from llmtune.predictions import Predictions
from llmtune.runs.folder import make_folder, write_json
from llmtune.runs.tables import find_tables, open_table, split_labels
from llmtune.terminal.comparison_lines import cut, detail_lines, difference_cell, finding, metric_label, number
from llmtune.terminal.console import Terminal, plain_table
from llmtune.terminal.document import print_document, terminal_beside
from llmtune.text.shorten import row_count


def compare(
    *,
    a: str,
    b: str,
    kind: str | None = None,
    labels: str | None = None,
    positive_label: str | None = None,
    ordinal: bool = False,
    label_separator: str | None = None,
    metric: str | None = None,
    fail_if_worse: bool = False,
    show: int = 5,
    output_dir: str | None = None,
    seed: int = 42,
    output_format: str = "text",
) -> int:
    """Prints the comparison; 1 where `fail_if_worse` is asked and B is significantly worse, else 0."""
    reading: dict[str, Any] = {"kind": kind, "labels": split_labels(labels), "positive_label": positive_label}
    reading |= {"label_separator": label_separator, "ordinal": ordinal}
    tables = [open_table(find_tables(source, "test")[0], **reading) for source in (a, b)]
    try:
        comparison = compare_predictions(*tables, names=(a, b), metric=metric, seed=seed)
    except ValueError as error:
        raise InputError(str(error)) from error
    document = {"a": a, "b": b, "seed": seed, **comparison.to_json()}
    if output_dir is not None:
        write_json(make_folder(output_dir) / "comparison.json", document)
    show_comparison(terminal_beside(output_format), comparison, tables, (a, b), show)
    print_document(document, output_format)
    return int(fail_if_worse and comparison.significantly_worse)


def show_comparison(
    terminal: Terminal, comparison: Comparison, tables: Sequence[Predictions], names: tuple[str, str], show: int
) -> None:
    """The numbers, the verdict, and the rows behind it."""
    title = f"Comparison on {row_count(comparison.rows)} of the split {comparison.split}"
    terminal.block(title, [f"A  {names[0]}", f"B  {names[1]}", ""])
    terminal.table(difference_table(comparison.differences))
    terminal.block(finding(comparison), detail_lines(comparison))
    for title, rows in (("B wins", comparison.wins), ("B loses", comparison.losses)):
        if rows and show > 0:
            terminal.block(f"{title}, {min(show, len(rows))} of {len(rows):,}", row_lines(tables, rows[:show]))


def difference_table(differences: Sequence[PairedComparison]) -> Table:
    """A row for each metric, the one that decides first."""
    table = plain_table("metric", "A", "B", "B - A [95 % interval]", "detectable")
    for pair in differences:
        cells = (number(pair.a), number(pair.b), difference_cell(pair), number(pair.min_detectable))
        table.add_row(metric_label(pair), *cells)
    return table


def row_lines(tables: Sequence[Predictions], rows: Sequence[int]) -> list[str]:
    """What the rows hold and what both models predicted."""
    a, b = tables
    inputs = [(name, a, name) for name in ("text", "text_pair", "source", "question") if a.has(name)]
    answers = [(name, table, "prediction") for name, table in (("A", a), ("B", b)) if table.has("prediction")]
    reference = [("reference", a, "reference")] if a.has("reference") else []
    lines = []
    for row in rows:
        cells = [
            f"{name} {cut(table.table.column(column)[row].as_py())}"
            for name, table, column in (*reference, *answers, *inputs)
        ]
        lines.append(f"id {a.table.column('id')[row].as_py()}: {', '.join(cells)}")
    return lines
