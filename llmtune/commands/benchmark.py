"""`llmtune benchmark`: several models on the same rows of the user's files; leaves benchmark.json and predictions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from llmtune.arguments.ranges import check_number
from llmtune.benchmark.client import RequestOptions
from llmtune.benchmark.hub_results import hub_lines, read_hub_benchmark, write_hub_results
from llmtune.benchmark.page import shown_metrics, write_benchmark_page
from llmtune.benchmark.results import ModelAnswers, TaskResult, check_benchmark_targets
from llmtune.benchmark.run import (
    RunOptions,
    answer_task,
    benchmark_tasks,
    check_answerers,
    check_model_names,
    table_file,
)
from llmtune.benchmark.speed import Price, read_limits
from llmtune.benchmark.task import TaskOptions
from llmtune.diagnosis.target_list import read_targets
from llmtune.errors import InputError
from llmtune.metrics.core.headlines import about_positive
from llmtune.metrics.core.parts import score_cell
from llmtune.predictions import write_predictions
from llmtune.runs.folder import make_folder, run_content, write_json
from llmtune.terminal.comparison_lines import number
from llmtune.terminal.console import Terminal, plain_table
from llmtune.terminal.document import EEE, MODEL_INDEX, print_document, terminal_beside
from llmtune.text.shorten import row_count

RESULT = "benchmark.json"
SHOWN = 3  # metrics of a task at the terminal; the rest is in benchmark.json
COLUMNS = (
    "text",
    "label",
    "source",
    "target",
    "question",
    "context",
    "answers",
    "choices",
    "answer",
    "tokens",
    "tags",
    "spans",
)


def benchmark(
    *,
    models: Sequence[str],
    tasks: Sequence[str],
    output_dir: str,
    train_file: str | None = None,
    num_fewshot: int = 0,
    prompt_template: str | None = None,
    use_chat_template: bool = False,
    scoring: str = "likelihood",
    max_new_tokens: int | None = None,
    positive_label: str | None = None,
    reference: str | None = None,
    concurrency: Sequence[int] = (4,),
    timeout: float = 120.0,
    speed_requests: int = 32,
    slo: str | None = None,
    price: Sequence[str] = (),
    targets: str | None = None,
    hub_benchmark: str | None = None,
    max_eval_samples: int | None = None,
    per_device_eval_batch_size: int = 32,
    cpu_threads: int | None = None,
    trust_remote_code: bool = False,
    seed: int = 42,
    output_format: str = "text",
    **columns: str | None,
) -> int:
    """Asks every model, scores all on the same rows; 1 where a model was refused, else 0."""
    arguments = {name: value for name, value in locals().items() if name != "columns"} | columns
    wanted = read_targets(targets)
    check_model_names(models, reference)
    check_number("concurrency", concurrency)
    options = TaskOptions(
        {name: given for name in COLUMNS if (given := columns.get(f"{name}_column"))},
        train_file,
        num_fewshot,
        prompt_template and prompt_template.replace("\\n", "\n"),  # a shell hands the two letters on as they are
        use_chat_template,
        scoring,
        max_new_tokens,
        positive_label,
        max_eval_samples,
        seed,
    )
    asked = benchmark_tasks(tasks, options)
    registered = read_hub_benchmark(hub_benchmark, len(asked)) if hub_benchmark else None
    limits, prices = read_limits(slo), Price.read(price)
    for task in asked:  # the rows before the weights: a bad row costs seconds here
        assert len(task.test[0])
        assert task.prompt
        check_answerers(task, models, trust_remote_code=trust_remote_code)
    folder = make_benchmark_folder(output_dir)
    terminal = terminal_beside(output_format)
    requests = RequestOptions(max(concurrency), timeout=timeout)
    running = RunOptions(
        per_device_eval_batch_size,
        cpu_threads,
        requests,
        reference,
        speed_requests,
        concurrency,
        limits,
        prices,
        trust_remote_code,
    )
    results = [
        TaskResult(task, answer_task(task, models, running, folder), targets=wanted, seed=seed) for task in asked
    ]
    check_benchmark_targets(wanted, results)
    content = run_content(
        {"benchmark": arguments},
        {"command": "benchmark", "seed": seed, "tasks": [result.to_json() for result in results]},
    )
    write_results(folder, results, content)
    for result in results:
        show_result(terminal, result)
    of_hub = write_hub_results(folder, results[0], *registered) if registered else []
    written = [f"the benchmark is in {folder}: {RESULT}, predictions, benchmark.html"]
    terminal.block("Written", [*written, *hub_lines(of_hub)])
    records = [record for result in results for record in result.to_records()]
    index = [entry for result in results for entry in result.to_model_index()]
    print_document({EEE: records, MODEL_INDEX: index}.get(output_format, content), output_format)
    return int(any(each.refusal for result in results for each in result.answers))


def write_results(folder: Path, results: Sequence[TaskResult], content: dict[str, Any]) -> None:
    """The predictions tables, benchmark.json and benchmark.html."""
    for result in results:
        for each in result.scored:
            assert each.table is not None
            write_predictions(each.table, table_file(folder, result.task.name, each.model))
    write_json(folder / RESULT, content)
    write_benchmark_page(folder, results, content["hardware"])


def make_benchmark_folder(output_dir: str) -> Path:
    """The folder of the results; that of an earlier benchmark is written over, and its answered requests count.

    Raises:
        InputError: the folder holds something else.
    """
    folder = make_folder(output_dir)
    ours = (folder / RESULT).exists() or (folder / "journal").exists()
    if any(folder.iterdir()) and not ours:
        raise InputError(
            f"--output_dir {folder}: is not empty, and no benchmark lies in it; name a new folder, or that of a "
            "benchmark to go on with it"
        )
    return folder


def show_result(terminal: Terminal, result: TaskResult) -> None:
    """One task: the models with their numbers, best first, who is better than whom, and what to be careful about."""
    fingerprint = result.fingerprint
    title = f"{result.task.name}: {row_count(fingerprint.rows)} of {fingerprint.source}"
    terminal.block(title, prompt_lines(result))
    if result.scored:
        terminal.table(model_table(result))
        lines = [result.sentence(pair) for pair in result.pairs]
        if len(result.scored) > 2:
            lines.append(
                f"intervals and p-values are corrected for all pairs of {len(result.scored)} models (Bonferroni)"
            )
        show_speed(terminal, result)
        terminal.block("Differences", lines or ["one model: nothing to compare"])
        terminal.block("Verdicts", [verdict_line(result, each.model) for each in result.scored])
    notes = [f"{result.short_names[each.model]}: {note}" for each in result.answers for note in each.notes]
    refusals = [f"✗ {each.model}: {each.refusal}" for each in result.answers if each.refusal]
    if refusals:
        terminal.block("Refused", refusals)
    terminal.block("Notes", [*result.cautions, *notes] or ["none"])


def prompt_lines(result: TaskResult) -> list[str]:
    """How prompted models are asked."""
    if not result.task.template or not any(each.way in ("prompted", "served") for each in result.answers):
        return []
    prompt = result.task.prompt.to_json()
    shots = result.task.options.num_fewshot
    return [f"prompt {prompt['template']!r}, {shots} demonstrations, sha256 {prompt['sha256'][:12]}"]


def model_table(result: TaskResult) -> Table:
    """A row for each model, best first: how it was asked, its metrics with intervals, seconds."""
    first = result.scored[0].table
    assert first is not None
    names = shown_metrics(result, SHOWN)
    table = plain_table("model", "how", *(about_positive(name, first.positive_name) for name in names))
    by_name = {each.model: each for each in result.scored}
    for model in result.ranked:
        cells = [score_cell(result.scores[model], name) for name in names]
        table.add_row(result.short_names[model], by_name[model].way, *cells)
    return table


def show_speed(terminal: Terminal, result: TaskResult) -> None:
    """Latency, throughput, memory and cost of each model; of servers a table of each load."""
    timed = [each for each in result.scored if each.facts]
    if timed:
        terminal.block("Speed (ms of one row; its p50 with 95 % interval, p95, p99)", [])
        table = plain_table("model", "latency", "rows/s", "peak MiB", "cost of 1,000 rows")
        for each in timed:
            facts = each.facts
            latency = percentile_cell(facts.get("latency"))
            more = [
                _plain_number(facts.get(key)) for key in ("rows_per_second", "peak_memory_mib", "cost_of_1000_rows")
            ]
            table.add_row(result.short_names[each.model], latency, *more)
        terminal.table(table)
    for each in timed:
        if each.facts.get("loads"):
            terminal.block(f"{result.short_names[each.model]} under load (ms: p50, p95, p99)", [])
            terminal.table(load_table(each))


def load_table(answers: ModelAnswers) -> Table:
    """A row for each load of a server."""
    loads: Sequence[Any] = answers.facts["loads"]
    with_limits = any("goodput" in load for load in loads)
    columns = ("to first token", "between tokens", "latency", "tokens/s", "requests/s", "failed")
    table = plain_table("at a time", *columns, *(["goodput/s"] if with_limits else []))
    for load in loads:
        times = [percentile_cell(load[name]) for name in ("ttft", "itl", "latency")]
        rates = [_plain_number(load[name]) for name in ("tokens_per_second", "requests_per_second")]
        good = [f"{load['goodput']:g} ({load['within_limits']:.0%})"] if with_limits else []
        table.add_row(str(load["concurrency"]), *times, *rates, str(sum(load["failures"].values())), *good)
    return table


def percentile_cell(summary: Any) -> str:
    """`12.3 [11.9, 13.0], 15.1, 18.0`: milliseconds; empty where nothing was measured."""
    if not summary:
        return ""
    p50, p95, p99 = (f"{1000 * summary[name]:.1f}" for name in ("p50", "p95", "p99"))
    ends = "" if summary["low"] is None else f" [{1000 * summary['low']:.1f}, {1000 * summary['high']:.1f}]"
    return f"{p50}{ends}, {p95}, {p99}"


def _plain_number(value: Any) -> str:
    return "" if value is None else number(float(value))


def verdict_line(result: TaskResult, model: str) -> str:
    """The verdict of a model and its first reason."""
    verdict = result.verdict(model)
    assert verdict is not None
    return f"{result.short_names[model]}: {verdict.sentence}"
