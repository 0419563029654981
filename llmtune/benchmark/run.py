"""Runs the models of a benchmark on its tasks, one after the other, each as it is meant to be asked."""

import contextlib
import ctypes
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from llmtune.benchmark.choices import ChoicesBenchmark
from llmtune.benchmark.classification import ClassificationBenchmark
from llmtune.benchmark.client import PREFIX, Address, Client, Refusal, RequestOptions
from llmtune.benchmark.endpoint import (
    CHAT,
    COMPLETIONS,
    DECISIONS,
    Endpoint,
    decision_payload,
    echo_payload,
    write_payload,
)
from llmtune.benchmark.entities import EntitiesBenchmark
from llmtune.benchmark.harness import NAME as HARNESS
from llmtune.benchmark.harness import harness_benchmark
from llmtune.benchmark.journal import Journal
from llmtune.benchmark.language_models import LocalModel
from llmtune.benchmark.perplexity import PerplexityBenchmark
from llmtune.benchmark.probe import difference, longest_text, probe_decisions, probe_likelihoods, probe_writing
from llmtune.benchmark.reference import Recorded, check_reference
from llmtune.benchmark.results import ModelAnswers
from llmtune.benchmark.speed import Price, measure_load, summarized, time_rows
from llmtune.benchmark.task import BenchmarkTask, TaskOptions
from llmtune.benchmark.writing import QuestionsBenchmark, SummarizationBenchmark, TranslationBenchmark
from llmtune.errors import InputError
from llmtune.predictions import Predictions
from llmtune.runs.folder import peak_memory_mib
from llmtune.runs.tables import with_positive_label
from llmtune.tasks.causal_lm.task import CausalLM
from llmtune.tasks.task import Task
from llmtune.trained_models import load_task, run_model
from llmtune.training.hardware import configure_cpu

SERVED = "served"
BASELINES = "baselines"  # the word among --models that names the simple models of each task

BENCHMARKS: dict[str, Callable[[str, TaskOptions], BenchmarkTask]] = {
    task.name: task
    for task in (
        ClassificationBenchmark, ChoicesBenchmark, EntitiesBenchmark, PerplexityBenchmark, QuestionsBenchmark,
        SummarizationBenchmark, TranslationBenchmark,
    )
} | {HARNESS: harness_benchmark}  # fmt: skip


@dataclass(frozen=True)
class RunOptions:
    """How models are run.

    Args:
        batch_size: rows at once.
        cpu_threads: None for all allowed cores.
        requests: how servers are asked.
        speed_requests: rows that are timed: of a local model alone, of a server under each load; 0 for none.
        loads: requests at a time.
        limits: of goodput, in seconds.
        price: of tokens, or of an hour of the machine.
        reference: a folder with the model that servers should serve; None for no comparison.
        trust_remote_code: run Python code that comes with the models of folders and of the Hub.
    """

    batch_size: int = 32
    cpu_threads: int | None = None
    requests: RequestOptions = RequestOptions()
    reference: str | None = None
    speed_requests: int = 0
    loads: Sequence[int] = (4,)
    limits: Mapping[str, float] = field(default_factory=dict)
    price: Price = Price()
    trust_remote_code: bool = False


def benchmark_tasks(named: Sequence[str], options: TaskOptions) -> list[BenchmarkTask]:
    """The tasks of `--tasks NAME=FILE …`.

    Raises:
        InputError: no such task, no file, or a task named twice.
    """
    tasks: dict[str, BenchmarkTask] = {}
    for each in named:
        name, sign, file = each.partition("=")
        if name not in BENCHMARKS:
            raise InputError(f"--tasks {each!r}: expected TASK=FILE, where TASK is one of {', '.join(BENCHMARKS)}")
        if not sign or not file:
            raise InputError(f"--tasks {each!r}: no file of labeled rows; write {name}=FILE")
        if name in tasks:
            raise InputError(f"--tasks: {name} is named twice; run the benchmark once for each file")
        tasks[name] = BENCHMARKS[name](file, options)
    return list(tasks.values())


def check_model_names(names: Sequence[str], reference: str | None) -> None:
    """Raises InputError for a model that is named twice, an address that is none, a reference of nothing."""
    files = [file_name(name) for name in names]
    twice = next((name for name, file in zip(names, files, strict=True) if files.count(file) > 1), None)
    if twice is not None:
        raise InputError(
            f"--models: {twice} is named twice, or its predictions would lie in the file of another model, "
            f"{file_name(twice)}.parquet; name each model once"
        )
    served = [Address.read(name) for name in names if name.startswith(PREFIX)]
    if reference is not None and not served:
        raise InputError(f"--reference {reference}: no served model is among --models; name one, as openai:URL#name")


def check_answerers(task: BenchmarkTask, names: Sequence[str], *, trust_remote_code: bool = False) -> None:
    """Before anything is computed, raises InputError for a local model that can't answer the task beside the others."""
    for name in names:
        if name == BASELINES or name.startswith(PREFIX):
            continue
        trained = load_task(name, trust_remote_code=trust_remote_code)
        if task.is_answered_by(trained):
            if len(names) > 1:
                task.check_beside_others(trained, name)
        elif not isinstance(trained, CausalLM):
            raise InputError(
                f"{name}: a {trained.name} model does not answer the task {task.name}; leave it out, or give a "
                "language model, which is prompted"
            )


def answer_task(task: BenchmarkTask, names: Sequence[str], options: RunOptions, folder: Path) -> list[ModelAnswers]:
    """What every model says of a task's rows, in the order of the names; journals of servers lie in the folder."""
    answers: list[ModelAnswers] = []
    for name in names:
        if name == BASELINES:
            answers += baseline_answers(task)
        elif name.startswith(PREFIX):
            journal = folder / "journal" / f"{task.name}-{file_name(name)}.jsonl"
            answers.append(served_answers(task, name, options, journal))
        else:
            answers.append(local_answers(task, name, options))
    if not answers:
        raise InputError(f"--models {BASELINES}: the task {task.name} has no simple models; name a model too")
    return answers


def baseline_answers(task: BenchmarkTask) -> list[ModelAnswers]:
    """The simple models of a task; none of a task that has none."""
    return [ModelAnswers(name, "baseline", table) for name, table in task.baselines().items()]


def local_answers(task: BenchmarkTask, name: str, options: RunOptions) -> ModelAnswers:
    """A model of a folder or of the Hub: fine-tuned for the task, or a language model that is prompted."""
    trained = load_task(name, trust_remote_code=options.trust_remote_code)
    configure_cpu(options.cpu_threads)
    _reset_peak_memory()
    if task.is_answered_by(trained):
        table, facts, notes = _fine_tuned(task, trained, name, options)
        way = "fine-tuned" if not isinstance(trained, CausalLM) else "scored"
    else:
        table, facts, notes = _prompted(task, name, options)
        way = "prompted"
    facts |= {"peak_memory_mib": round(_peak_memory(), 1), "rows_per_second": round(len(table) / facts["seconds"], 2)}
    facts |= {"cost_of_1000_rows": options.price.of_thousand_rows(facts, len(table))}
    return ModelAnswers(name, way, table, facts, [*notes, *task.notes(table)])


def served_answers(task: BenchmarkTask, name: str, options: RunOptions, journal_file: Path) -> ModelAnswers:
    """A model behind an address: probed, asked, and compared with the reference; or why it was refused."""
    facts: dict[str, Any] = {}
    with Client(Address.read(name), options.requests, Journal(journal_file)) as client:
        assert client.journal is not None
        endpoint = Endpoint(name, client, is_chat=task.prompt.is_chat)
        local = None
        if options.reference is not None:
            configure_cpu(options.cpu_threads)
            local = local_model(task, options.reference, options)
        try:
            table, notes = _ask_server(task, endpoint, client.journal, local, facts)
        except Refusal as refusal:
            return ModelAnswers(name, SERVED, None, facts, [], str(refusal))
        facts |= {"retries": dict(client.retries), "reused_answers": client.journal.reused, **client.tokens}
        facts |= {"cost_of_1000_rows": options.price.of_thousand_rows(facts, len(table))}
        if options.speed_requests:
            asked = _row_requests(task, endpoint)[: options.speed_requests]
            try:
                facts["latency"] = summarized(time_rows(asked, lambda row: [client.ask(*request) for request in row]))
                facts["loads"] = _loads(task, endpoint, options)
            except Refusal as refusal:  # its answers are scored all the same
                notes.append(f"speed was not measured: {refusal}")
    return ModelAnswers(name, SERVED, table, facts, [*notes, *task.notes(table)])


def _row_requests(task: BenchmarkTask, endpoint: Endpoint) -> list[list[tuple[str, dict[str, Any]]]]:
    """What a server is asked about each row: the way, and what is sent there."""
    if isinstance(task, ClassificationBenchmark) and task.by_decision:
        return [[(DECISIONS, decision_payload(text, task.label_names))] for text in task.test[0]["text"]]
    if task.by_likelihood:
        return [[(COMPLETIONS, echo_payload("".join(pair))) for pair in row] for row in task.pairs()]
    path, is_chat, most = CHAT if endpoint.is_chat else COMPLETIONS, endpoint.is_chat, task.answer_tokens
    return [[(path, write_payload(prompt, most, is_chat=is_chat))] for prompt in task.prompts()]


def _loads(task: BenchmarkTask, endpoint: Endpoint, options: RunOptions) -> list[dict[str, Any]]:
    """The speed of a server under each load, on the task's own prompts."""
    prompts = task.prompts() if task.template else [text[: len(text) // 2] for text in task.asked_texts()]
    return [
        measure_load(
            endpoint.client,
            prompts,
            requests=options.speed_requests,
            concurrency=load,
            max_new_tokens=task.answer_tokens,
            is_chat=endpoint.is_chat,
            limits=options.limits,
        )
        for load in options.loads
    ]


def _ask_server(
    task: BenchmarkTask, endpoint: Endpoint, journal: Journal, local: LocalModel | None, facts: dict[str, Any]
) -> tuple[Predictions, list[str]]:
    if task.by_likelihood and not task.by_decision and endpoint.is_chat:
        endpoint.likelihoods([])  # refused before anything is asked
    identity, notes = _probe(task, endpoint, local)
    journal.begin(identity, difference(journal.identity, identity))
    served = Recorded(endpoint)
    start = time.perf_counter()
    table = task.predicted_by(served)
    facts["seconds"] = round(time.perf_counter() - start, 4)
    if journal.reused:
        notes.append(f"answers from the journal of an earlier run: {journal.reused:,}; seconds are those of the others")
    else:
        facts["rows_per_second"] = round(len(table) / facts["seconds"], 2)
    if journal.stale:
        notes.append(f"answers in the journal to other rows, prompts or settings, not used: {journal.stale:,}")
    if endpoint.unscored:
        notes.append(f"first tokens before which the server sets nothing, not scored: {endpoint.unscored:,}")
    if local is not None:
        notes.append(check_reference(task, served, table, local))
    return table, notes


def _probe(task: BenchmarkTask, endpoint: Endpoint, local: LocalModel | None) -> tuple[dict[str, Any], list[str]]:
    """What the way that the task is scored assumes of a server."""
    if isinstance(task, ClassificationBenchmark) and task.by_decision:
        return probe_decisions(endpoint, task.label_names)
    longest = longest_text(task.asked_texts())
    return probe_likelihoods(endpoint, longest) if task.by_likelihood else probe_writing(endpoint, longest, local)


def _fine_tuned(
    task: BenchmarkTask, trained: Task, name: str, options: RunOptions
) -> tuple[Predictions, dict[str, Any], list[str]]:
    rows = task.rows_for(trained)
    outputs = run_model(
        name,
        trained,
        rows,
        batch_size=options.batch_size,
        cpu_threads=options.cpu_threads,
        timed=options.speed_requests,
        trust_remote_code=options.trust_remote_code,
    )
    table = trained.tabulate(outputs.outputs, outputs.encoded)
    if isinstance(task, ClassificationBenchmark) and len(table.label_names) == 2:
        table = with_positive_label(table, name, task.positive_label)
    facts = {key: outputs.facts[key] for key in ("model_type", "parameters")}
    facts |= {"seconds": round(outputs.seconds, 4), "latency": summarized(outputs.latencies)}
    return table, facts, list(outputs.encoded.notes)


def local_model(task: BenchmarkTask, name: str, options: RunOptions) -> LocalModel:
    """The language model of a folder or of the Hub, to be asked as the task asks."""
    return LocalModel(
        name,
        batch_size=options.batch_size,
        is_chat=task.prompt.is_chat,
        trust_remote_code=options.trust_remote_code,
    )


def _prompted(task: BenchmarkTask, name: str, options: RunOptions) -> tuple[Predictions, dict[str, Any], list[str]]:
    model = local_model(task, name, options)
    start = time.perf_counter()
    table = task.predicted_by(model)
    seconds = time.perf_counter() - start
    truncated = model.truncated
    timed = options.speed_requests
    if task.by_likelihood:
        latencies = time_rows(task.pairs()[:timed], model.likelihoods)
    else:
        latencies = time_rows(task.prompts()[:timed], lambda prompt: model.write([prompt], task.answer_tokens))
    notes = []
    if truncated:
        notes.append(
            f"prompts longer than the {model.limit:,} tokens that the model reads: {truncated:,}, without their "
            "beginnings"
        )
    return table, {**model.facts(), "seconds": round(seconds, 4), "latency": summarized(latencies)}, notes


def table_file(folder: Path, task: str, model: str) -> Path:
    """Where a model's predictions lie."""
    return folder / "predictions" / task / f"{file_name(model)}.parquet"


def file_name(model: str) -> str:
    """A file's name from whatever names a model.

    >>> file_name("openai:http://127.0.0.1:8000/v1#tiny")
    'openai_http_127.0.0.1_8000_v1_tiny'
    """
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", model).strip("_.")


def _reset_peak_memory() -> None:
    """Lets the peak begin at what this process holds now; memory that earlier models freed goes back first."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    elif sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        with contextlib.suppress(OSError):  # some sandboxes don't let a process: then the peak is that of all models
            Path("/proc/self/clear_refs").write_text("5")  # VmHWM, see proc(5)


def _peak_memory() -> float:
    """In MiB: on the GPU where there is one, else resident, Python and torch with it."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    peak = next((line.split()[1] for line in lines if line.startswith("VmHWM")), None)
    return peak_memory_mib() if peak is None else int(peak) / 2**10
