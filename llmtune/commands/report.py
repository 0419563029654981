"""`llmtune report`: every metric of a kind, with intervals, from predictions tables made anywhere."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmtune.commands.report_runs import report_runs
from llmtune.diagnosis.target_list import read_targets
from llmtune.errors import InputError
from llmtune.metrics import metrics_to_json
from llmtune.predictions.table import COLUMN_NOTES
from llmtune.report.every_eval_ever import eee_record
from llmtune.report.judged_table import JudgedTable
from llmtune.report.judgement import Judgement, JudgementOptions, table_name
from llmtune.report.report import save_reports
from llmtune.runs.folder import RunFolder
from llmtune.runs.tables import find_tables, open_table, split_labels
from llmtune.terminal.console import Terminal
from llmtune.terminal.document import EEE, print_document, terminal_beside
from llmtune.terminal.run_end import show_cautions
from llmtune.terminal.score_tables import missing_reasons, show_scores
from llmtune.terminal.verdict_lines import show_verdict


def report(
    *,
    sources: Sequence[str],
    kind: str | None = None,
    labels: str | None = None,
    positive_label: str | None = None,
    ordinal: bool = False,
    output_dir: str | None = None,
    no_examples: bool = False,
    train_file: str | None = None,
    output_format: str = "text",
    **asked: Any,
) -> None:
    """Prints the scores of each table, and the verdict of each but validation; several runs are put together.

    metrics.json, verdict.json, report.html and beside weights README.md go to `output_dir`, or into a source that is a
    run folder; of several runs compare.html goes to `output_dir`. `asked` are the other options of
    `JudgementOptions`; `no_examples` keeps the texts out of the page.
    """
    options = JudgementOptions(train=train_file, **asked)
    read_targets(options.targets)  # a typo is reported before anything is read
    several = len(sources) > 1 and output_format != EEE and all(Path(source).is_dir() for source in sources)
    if output_dir is not None and (several or output_dir not in sources):
        RunFolder(output_dir).refuse_results(f"--output_dir {output_dir}")
    if several:
        report_runs(
            sources,
            options,
            positive_label=positive_label,
            output_dir=output_dir,
            no_examples=no_examples,
            output_format=output_format,
        )
        return
    reading = {"kind": kind, "labels": split_labels(labels), "positive_label": positive_label, "ordinal": ordinal}
    tables = [table for source in sources for table in open_source(source, reading, options)]
    check_outputs(tables, output_dir)
    terminal, reports = terminal_beside(output_format), defaultdict[str | None, list[JudgedTable]](list)
    for table in tables:
        if len(tables) > 1:
            terminal.block(str(table.path), [])
        reports[table.target(output_dir)].append(show_judgement(terminal, table))
    for folder, of_folder in reports.items():
        if folder is not None:
            paths = save_reports(folder, of_folder, no_examples=no_examples)
            terminal.block(f"written to {', '.join(map(str, paths))}", [])
    documented = to_record if output_format == EEE else to_document
    print_document([documented(report) for of_folder in reports.values() for report in of_folder], output_format)


def to_record(report: JudgedTable) -> dict[str, Any]:
    """What was judged, as Every Eval Ever has it."""
    data = report.run.get("data", {}).get(report.test.split, {})
    source = Path(str(data.get("source", ""))).name or report.name
    return eee_record(report.name, report.test, report.scores, data=source, data_facts=data)


def to_document(report: JudgedTable) -> dict[str, Any]:
    """What was judged, as JSON values."""
    verdict = report.verdict
    return {
        "name": report.name,
        "split": report.test.split,
        "rows": len(report.test),
        "sentence": verdict.sentence if verdict else "",
        **(verdict.to_json() if verdict else {"verdict": None, "checks": []}),
        "cautions": report.cautions,
        "metrics": metrics_to_json(dict(report.scores)),
        "baselines": {name: metrics_to_json(dict(scores)) for name, scores in report.baselines.items()},
    }


@dataclass(frozen=True)
class OpenTable:
    """A table that was asked for.

    Args:
        source: as the user named it.
        path: of the table.
        judgement: of it.
    """

    source: str
    path: Path
    judgement: Judgement

    def target(self, output_dir: str | None) -> str | None:
        """The folder that its results go to."""
        return output_dir or (self.source if self.judgement.run else None)


def open_source(source: str, reading: Mapping[str, Any], options: JudgementOptions) -> list[OpenTable]:
    """The table of a file, read as `open_table` is told, or those of a run's splits."""
    if not Path(source).is_dir():
        table = open_table(Path(source), **reading, label_separator=options.label_separator)
        return [OpenTable(source, Path(source), Judgement(table, options))]
    if reading["ordinal"]:
        raise InputError(
            f"--ordinal: {source} is a run, and its model knows whether classes have an order; leave it out"
        )
    run = RunFolder(source)
    return [
        OpenTable(source, path, Judgement(run.table(path.stem, reading["positive_label"]), options, run))
        for path in find_tables(source)
    ]


def show_judgement(terminal: Terminal, table: OpenTable) -> JudgedTable:
    """Prints scores and verdict."""
    judged = table.judgement.judged(table_name(table.source))
    notes = [*judged.test.settings.get(COLUMN_NOTES, []), *missing_reasons(judged.scores, judged.test.positive_name)]
    show_scores(terminal, judged.test, judged.scores, judged.baselines, notes, judged.entities)
    show_cautions(terminal, judged.cautions)
    if judged.verdict is not None:
        show_verdict(terminal, judged.verdict)
    return judged


def check_outputs(tables: Sequence[OpenTable], output_dir: str | None) -> None:
    """Refuses to lose a report: metrics.json holds each split once.

    Raises:
        InputError: two tables of one split for one metrics.json.
    """
    taken: dict[tuple[str, str], Path] = {}
    for table in tables:
        target, split = table.target(output_dir), table.judgement.table.split
        if target is None:
            continue
        other = taken.setdefault((target, split), table.path)
        if other != table.path:
            raise InputError(
                f"{other} and {table.path} are both of the split {split!r}, and metrics.json holds each split once; "
                "report them one by one"
            )
