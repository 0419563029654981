"""`llmtune report RUN RUN …`: folds and seeds as one result, with one verdict over all rows."""

from collections.abc import Sequence
from pathlib import Path

from llmtune.errors import InputError
from llmtune.metrics import metrics_to_json
from llmtune.report.aggregate import MergedRuns, TestResult, run_table
from llmtune.report.compare_page import run_reports, write_compare_page
from llmtune.report.judgement import Judgement, JudgementOptions
from llmtune.runs.folder import RunFolder, baseline_splits, make_folder, write_metrics, write_verdict
from llmtune.terminal.document import print_document, terminal_beside
from llmtune.terminal.score_tables import missing_reasons, show_scores
from llmtune.terminal.verdict_lines import show_verdict


def report_runs(
    sources: Sequence[str],
    options: JudgementOptions,
    *,
    positive_label: str | None,
    output_dir: str | None,
    no_examples: bool = False,
    output_format: str = "text",
) -> None:
    """A row for each run, mean and spread; scores and verdict of all rows together, written to `output_dir` alone.

    With them goes compare.html: the runs side by side, each against the first. `no_examples` keeps the texts out.

    Raises:
        InputError: a run is named twice, or the runs can't be put together.
    """
    if options.train is not None or options.base is not None:
        raise InputError("--train_file and --base are of one run, and these are several; report it alone")
    if len({Path(source).resolve() for source in sources}) < len(sources):
        raise InputError("a run is named twice; name each once")
    folders = [RunFolder(source) for source in sources]
    judgements = [Judgement(run.table("test", positive_label), options, run) for run in folders]
    results = [
        TestResult(source, run.fold, judgement.table, judgement.scores, judgement.baselines)
        for source, run, judgement in zip(sources, folders, judgements, strict=True)
    ]
    merged = MergedRuns(results, folders, options)
    terminal = terminal_beside(output_format)
    terminal.block(f"{len(results)} runs", merged.lines)
    terminal.table(run_table(results))
    show_scores(
        terminal,
        merged.table,
        merged.scores,
        merged.baseline_scores,
        missing_reasons(merged.scores, merged.table.positive_name),
    )
    show_verdict(terminal, merged.verdict)
    document = {
        "runs": [{"name": result.name, "metrics": metrics_to_json(dict(result.scores))} for result in results],
        "lines": list(merged.lines),
        "sentence": merged.verdict.sentence,
        **merged.verdict.to_json(),
        "metrics": metrics_to_json(dict(merged.scores)),
    }
    print_document(document, output_format)
    if output_dir is None:
        terminal.block("--output_dir FOLDER leaves metrics.json, verdict.json and compare.html there", [])
        return
    folder = make_folder(output_dir)
    split = merged.table.split
    write_metrics(folder, {split: merged.scores, **baseline_splits(split, merged.baseline_scores)})
    write_verdict(folder, merged.verdict)
    reports = [judgement.judged(run.name) for run, judgement in zip(folders, judgements, strict=True)]
    page = write_compare_page(
        folder,
        run_reports(reports, seed=merged.seed),
        together=merged.verdict if merged.is_of_folds else None,
        no_examples=no_examples,
    )
    terminal.block(f"written to {folder / 'metrics.json'}, {folder / 'verdict.json'}, {page}", [])
