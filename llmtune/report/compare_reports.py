"""Two reports on the same rows: whether B is significantly better or worse than A, in numbers and as a page."""

from pathlib import Path

from llmtune.comparison.differences import Comparison, compare_predictions
from llmtune.errors import InputError
from llmtune.report.compare_page import RunReport, render_compare_page, write_compare_page
from llmtune.report.judged_table import JudgedTable
from llmtune.report.report import framed, names_arguments
from llmtune.runs.folder import make_folder, write_json
from llmtune.terminal.comparison_lines import detail_lines, difference_cell, finding, metric_label
from llmtune.text.shorten import row_count


class ComparisonReport:
    """B against A; in a notebook it shows both side by side.

    Args:
        a: the report of what is in use.
        b: of what might replace it.
        result: the paired comparison of their tables.
        seed: of its bootstraps.
    """

    def __init__(self, a: JudgedTable, b: JudgedTable, result: Comparison, seed: int) -> None:
        self.a, self.b, self.result, self.seed = a, b, result, seed

    @property
    def finding(self) -> str:
        """One sentence on the metric that decides."""
        return finding(self.result)

    @property
    def significantly_worse(self) -> bool:
        """Whether B is worse beyond chance on the metric that decides: what a gate asks."""
        return self.result.significantly_worse

    def save(self, folder: str | Path, *, no_examples: bool = False) -> list[Path]:
        """Writes comparison.json and compare.html; returns their paths. `no_examples` keeps the texts out."""
        folder = make_folder(folder)
        content = {"a": self.a.name, "b": self.b.name, "seed": self.seed, **self.result.to_json()}
        write_json(folder / "comparison.json", content)
        return [folder / "comparison.json", write_compare_page(folder, self._runs(), no_examples=no_examples)]

    def _runs(self) -> list[RunReport]:
        return [RunReport("A", self.a), RunReport("B", self.b, self.result)]

    def __repr__(self) -> str:
        cells = [(metric_label(pair), difference_cell(pair)) for pair in self.result.differences]
        width = max(len(metric) for metric, _ in cells)
        head = f"B {self.b.name!r} against A {self.a.name!r}, {row_count(self.result.rows)} of {self.result.split}"
        table = [f"  {metric:<{width}}  B - A  {cell}" for metric, cell in cells]
        return "\n".join([head, f"{self.finding}.", *table, *detail_lines(self.result)])

    def _repr_html_(self) -> str:
        return framed(render_compare_page(self._runs()), f"{self.a.name} and {self.b.name}")


@names_arguments
def compare(a: JudgedTable, b: JudgedTable, *, metric: str | None = None, seed: int = 42) -> ComparisonReport:
    """Compares two models on the same rows, as `llmtune compare A B` does.

    Args:
        a: the report of what is in use.
        b: of what might replace it: the same rows in the same order.
        metric: the one that decides; default by the kind of A's table.
        seed: of the bootstraps.

    Raises:
        InputError: no reports, or reports that are not about the same rows or have no such metric.
    """
    others = [(name, given) for name, given in (("a", a), ("b", b)) if not isinstance(given, JudgedTable)]
    for name, given in others:
        raise InputError(
            f"{name}: found {type(given).__name__}, expected a Report; make it by Report.from_predictions, "
            "Report.from_table or Report.from_run"
        )
    names = (f"A ({a.name})", f"B ({b.name})")
    return ComparisonReport(a, b, compare_predictions(a.test, b.test, names=names, metric=metric, seed=seed), seed)
