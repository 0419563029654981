"""One block a stage (data, model, training, test) at the terminal, in any width; printed by the first process only."""

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from llmtune.diagnosis.data_checks.labels import find_label_typos
from llmtune.metrics import Score
from llmtune.metrics.core.base import with_interval
from llmtune.metrics.core.headlines import about_positive, headline_names
from llmtune.metrics.core.matrix import build_matrix
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import CLASSIFICATION
from llmtune.text.shorten import counted, join_names, row_count

# Beyond these a table is no longer read: the rest is in metrics.json.
MARK_STYLES = {"✗": "bold red", "?": "bold yellow", "✓": "green"}  # where the terminal has color
MOST_CLASSES, MOST_MATRIX, MOST_SLIPS = 20, 12, 4


class Terminal:
    """Prints the blocks of a run.

    Args:
        main_process: others print nothing.
        console: default the terminal; a block is at most 110 columns wide.
    """

    def __init__(self, main_process: bool = True, console: Console | None = None) -> None:
        self.console = console or plain_console(quiet=not main_process)
        self.width = min(self.console.width, 110)
        hide_progress_bars()

    @classmethod
    def on_stderr(cls) -> "Terminal":
        """Where stdout holds a document for another program."""
        return cls(console=plain_console(stderr=True))

    def block(self, title: str, lines: Sequence[str]) -> None:
        """A heading and its lines."""
        self.console.print(Text(f"\n{title}", style="bold"))
        for line in lines:
            text = Text(line)
            text.stylize(MARK_STYLES.get(line[:1], ""), 0, 1)
            self.console.print(Padding(text, (0, 0, 0, 2), expand=False), width=self.width)

    def command(self, line: str) -> None:
        """A command to be copied: no line break of ours in it."""
        self.console.print(Text(f"  {line}"), soft_wrap=True)

    def table(self, table: Table) -> None:
        """A table, as wide as it needs."""
        self.console.print(table, width=self.width)

    def training(self, facts: Mapping[str, Any], positive_label: str | None = None) -> None:
        """How long, how fast, which checkpoint; `positive_label`: that its metric is about."""
        best = facts["best_checkpoint"]
        metric = about_positive(best["metric"].removeprefix("eval_"), positive_label) if best else ""
        lines = [
            f"{facts['steps']:,} optimizer steps of {facts['effective_batch']} rows in {facts['train_seconds']:.1f} s; "
            f"{facts['tokens_per_second']:,.0f} tokens/s",
            f"best checkpoint: step {best['step']}, {metric} {best['value']:.4f} on validation"
            if best
            else "the last weights are kept: checkpoints were not compared on validation",
        ]
        self.block("Training", lines)

    def test(
        self,
        predictions: Predictions,
        scores: Mapping[str, Score],
        baselines: Mapping[str, Mapping[str, Score]],
        notes: Sequence[str] = (),
    ) -> None:
        """The numbers of one split: headlines with intervals beside the baselines, classes, confusion matrix."""
        self.block(f"{predictions.split.capitalize()}: {row_count(len(predictions))}", [])
        self.table(headline_table(headline_names(CLASSIFICATION, scores), predictions, scores, baselines))
        self.table(_classes(predictions, scores))
        if len(predictions.label_names) <= MOST_MATRIX:
            self.table(_matrix(predictions))
        for note in notes:
            self.console.print(Padding(Text(note), (0, 0, 0, 2), expand=False), width=self.width)


def plain_console(**options: bool) -> Console:
    """A console that shows labels and metric names as they are: "[x]" is a style to rich, ":cat:" a picture."""
    return Console(highlight=False, markup=False, emoji=False, **options)  # type: ignore[arg-type]


def split_lines(splits: Mapping[str, Mapping[str, Any]], truncated: Mapping[str, int], max_length: int) -> list[str]:
    """What was read of texts with a class each: how it was split, which texts repeat, how many were cut."""
    lines = []
    for split, said in splits.items():
        rows = max(1, said["rows"])
        classes = sorted(said["classes"].items(), key=lambda item: -item[1])
        shares = join_names([f"{label} {count:,} ({count / rows:.1%})" for label, count in classes], 6, "classes")
        rows_of_split = f"{split:<11}{row_count(said['rows']):>13}"
        lines.append(f"{rows_of_split}: {shares}; {said['made']}" if classes else f"{rows_of_split}: {said['made']}")
    repeats = {pair: n for said in splits.values() for pair, n in said["duplicates"].items() if n}
    lines.append(
        "repeated texts: " + (", ".join(f"{pair} {n:,}" for pair, n in repeats.items()) if repeats else "none")
    )
    cut = ", ".join(f"{split} {n:,}" for split, n in truncated.items() if n)
    lines.append(f"texts truncated at {max_length} tokens: {cut or 'none'}")
    return lines + label_typo_lines([said["classes"] for said in splits.values()])


def label_typo_lines(classes: Sequence[Mapping[str, int]], unit: str = "row") -> list[str]:
    """Classes that are probably another one, misspelled or in other case, each a line with counts and remedy.

    Args:
        classes: of each split, label → rows.
        unit: what is counted, in the singular.
    """
    counts = sum((Counter(of) for of in classes), Counter[str]())
    slips = find_label_typos(counts)
    lines = []
    for slip in slips[:MOST_SLIPS]:
        label, meant = slip.names
        lines.append(
            f"{label} ({counted(counts[slip.label], unit)}) is a separate class here, but is probably {meant} "
            f"({counted(counts[slip.meant], unit)}): if so, write {meant} in the file"
        )
    if len(slips) > MOST_SLIPS:
        lines.append(f"and {len(slips) - MOST_SLIPS} more classes that are probably typos: llmtune check lists them")
    return lines


def hide_progress_bars() -> None:
    """Of datasets and transformers, where no terminal shows them: drawn into a file they are noise.

    Both are told whether imported or not: importing them costs a report of a table seconds.
    """
    if sys.stderr.isatty():
        return
    for name in ("HF_DATASETS_DISABLE_PROGRESS_BARS", "HF_HUB_DISABLE_PROGRESS_BARS"):
        os.environ.setdefault(name, "1")
    if "datasets" in sys.modules:
        sys.modules["datasets"].disable_progress_bars()
    if "transformers.utils.logging" in sys.modules:
        sys.modules["transformers.utils.logging"].disable_progress_bar()


def plain_table(*columns: str) -> Table:
    """An empty table in the style of the terminal."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for position, column in enumerate(columns):
        table.add_column(column, no_wrap=position == 0)
    return table


def headline_table(
    names: Sequence[str],
    predictions: Predictions,
    scores: Mapping[str, Score],
    baselines: Mapping[str, Mapping[str, Score]],
) -> Table:
    """These metrics of all rows with their intervals, beside the values of the baselines; of two classes, of which."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("metric", no_wrap=True)
    table.add_column("value [95 % interval]", no_wrap=True)
    for name in baselines:
        table.add_column(name)
    for name in names:
        beside = [_value(of.get(name)) for of in baselines.values()]
        table.add_row(about_positive(name, predictions.positive_name), with_interval(scores[name]), *beside)
    return table


def _value(score: Score | None) -> str:
    return "" if score is None or score.value is None else f"{score.value:.3f}"


def _classes(predictions: Predictions, scores: Mapping[str, Score]) -> Table:
    names = list(predictions.label_names)
    counts = np.bincount(predictions.label_ids("reference"), minlength=len(names))
    if len(names) > MOST_CLASSES:
        names = sorted(names, key=lambda name: scores[f"f1[{name}]"].value or 0.0)[:MOST_CLASSES]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    title = "class" if len(names) == len(predictions.label_names) else f"the {MOST_CLASSES} classes with the lowest F1"
    for column in (title, "rows", "precision", "recall", "F1"):
        table.add_column(column, justify="right" if column == "rows" else "left", min_width=min(len(column), 9))
    for name in names:
        cells = [with_interval(scores[f"{metric}[{name}]"]) for metric in ("precision", "recall", "f1")]
        table.add_row(name, str(counts[predictions.label_names.index(name)]), *cells)
    return table


def _matrix(predictions: Predictions) -> Table:
    matrix = build_matrix(predictions)
    assert matrix is not None  # of a classification table
    table = plain_table("reference ↓  predicted →", *matrix.columns)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, counts, shares in zip(matrix.rows, matrix.counts, matrix.shares(), strict=True):
        table.add_row(name, *(f"{count} ({share:.1%})" for count, share in zip(counts, shares, strict=True)))
    return table
