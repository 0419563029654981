"""`llmtune report RUN RUN …`: folds and seeds as one result, with one verdict over all rows."""

from collections.abc import Sequence
from pathlib import Path

from llmtune.commands.scores import notes_of, score_table
from llmtune.commands.tables import find_tables, open_table, run_settings
from llmtune.commands.verdicts import VerdictOptions, earlier_leakage, read_beside, verdict_of
from llmtune.diagnosis.check import FAIL
from llmtune.diagnosis.context import Context, TrainingLog, diagnose
from llmtune.diagnosis.target_list import read_targets
from llmtune.errors import InputError
from llmtune.report.aggregate import TestResult, merge, run_table
from llmtune.report.compare_page import run_reports, write_compare_page
from llmtune.report.report import Report
from llmtune.runs.folder import baseline_splits, write_metrics, write_verdict
from llmtune.terminal.console import Terminal
from llmtune.terminal.score_tables import show_scores
from llmtune.terminal.verdict_lines import show_verdict


def report_runs(
    sources: Sequence[str],
    options: VerdictOptions,
    *,
    positive_label: str | None,
    output_dir: str | None,
    metrics: Sequence[str],
    seed: int,
    no_examples: bool = False,
) -> None:
    """A row for each run, mean and spread; scores and verdict of all rows together, written to `output_dir` alone.

    With them goes compare.html: the runs side by side, each against the first. `no_examples` keeps the texts out.

    Raises:
        InputError: a run is named twice, or the runs can't be put together.
    """
    if options.train_file is not None or options.base is not None:
        raise InputError("--train_file and --base are of one run, and these are several; report it alone")
    if len({Path(source).resolve() for source in sources}) < len(sources):
        raise InputError("a run is named twice; name each once")
    runs = []
    for source in sources:
        table = open_table(find_tables(source, "test")[0], kind=None, labels=None, positive_label=positive_label)
        fold = run_settings(source).get("arguments", {}).get("data", {}).get("fold")
        of_run = score_table(table, metrics=metrics, seed=seed)
        runs.append(TestResult(source, fold, table, of_run, read_beside(source, table, options).baselines))
    table, baselines, lines = merge(runs)
    scores = score_table(table, metrics=metrics, seed=seed)
    asked, options = options, options.with_run(run_settings(sources[0]).get("arguments", {}))
    terminal = Terminal()
    terminal.block(f"{len(runs)} runs", lines)
    terminal.table(run_table(runs))
    beside = {name: score_table(of, metrics=(), seed=seed) for name, of in baselines.items()}
    show_scores(terminal, table, scores, beside, notes_of(scores))
    leaks = [check for check in map(earlier_leakage, sources) if check is not None]
    verdict = diagnose(
        Context(
            table,
            scores=scores,
            demands=read_targets(options.targets),
            baselines=baselines,
            runs={
                Path(source).name: TrainingLog.from_run(run_settings(source).get("training", {})) for source in sources
            },
            earlier_leakage=next((check for check in leaks if check.status == FAIL), leaks[0] if leaks else None),
            group_columns=options.group_columns,
            slice_columns=options.slice_columns,
            seed=seed,
        )
    )
    show_verdict(terminal, verdict)
    if output_dir is None:
        terminal.block("--output_dir FOLDER leaves metrics.json, verdict.json and compare.html there", [])
        return
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    write_metrics(folder, {table.split: scores, **baseline_splits(table.split, beside)})
    write_verdict(folder, verdict)
    reports = [
        Report.of_run(
            Path(run.name), run.table, run.scores,
            verdict=verdict_of(
                run.name, run.table, run.scores, asked, read_beside(run.name, run.table, asked), seed=seed
            ),
        )
        for run in runs
    ]  # fmt: skip
    hidden = no_examples or any(report.arguments("data").get("no_examples") for report in reports)
    folds = {run.fold for run in runs}
    page = write_compare_page(
        folder,
        run_reports(reports, seed=seed),
        together=verdict if len(folds) > 1 else None,
        no_examples=hidden,
    )
    terminal.block(f"written to {folder / 'metrics.json'}, {folder / 'verdict.json'}, {page}", [])
