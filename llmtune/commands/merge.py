"""`llmtune merge RUN --output_dir D`: the adapter of a LoRA run added to its base: plain weights, with its results."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel

from llmtune.diagnosis.headline import headline
from llmtune.errors import InputError
from llmtune.models.checkpoints import FLOAT32_TOLERANCE, load_config, load_run, merge_run
from llmtune.models.decision import save_decision_model
from llmtune.report.card import write_card
from llmtune.report.report import Report
from llmtune.runs.folder import RunFolder, make_folder, write_json
from llmtune.tasks.task import Task
from llmtune.tasks.text_classification.task import TextClassification
from llmtune.terminal.document import print_document, terminal_beside
from llmtune.trained_models import load_task, run_model

RESULTS = ("metrics.json", "verdict.json", "report.html")
BATCH = 8  # rows scored at once


def merge(
    *,
    run_folder: str,
    output_dir: str,
    decision: bool = False,
    trust_remote_code: bool = False,
    output_format: str = "text",
) -> None:
    """Writes the merged weights, beside them the run's results; says how far they differ from the adapter."""
    if not Path(run_folder).is_dir():
        raise InputError(
            f"{run_folder}: no such folder; give the --output_dir of a recipe that was run with --use_peft"
        )
    terminal = terminal_beside(output_format)
    task = load_task(run_folder, trust_remote_code=trust_remote_code)
    if decision:
        write_decision(run_folder, output_dir, task)
        lines = [f"{run_folder} → {output_dir}: for pipeline('decision') and transformers serve, with decision.json"]
        terminal.block("Decision model", lines)
        print_document({"run": run_folder, "output_dir": output_dir}, output_format)
        return
    drift = merge_run(run_folder, output_dir, task.auto_model, trust_remote_code=trust_remote_code)
    rescored = check_scores(RunFolder(run_folder), output_dir, task, trust_remote_code=trust_remote_code)
    carried = carry_results(RunFolder(run_folder), Path(output_dir), drift)
    terminal.block(
        "Merge",
        [
            f"{run_folder} → {output_dir}: plain weights, for from_pretrained without peft",
            f"read back, the logits of random tokens differ by at most {drift:.2g}",
            *rescored,
            f"beside them: {', '.join(carried)}" if carried else f"{run_folder} holds no results to go with them",
        ],
    )
    document = {"run": run_folder, "output_dir": output_dir, "largest_logit_difference": drift, "carried": carried}
    print_document(document, output_format)


def write_decision(run_folder: str, output_dir: str, task: Task) -> None:
    """Writes a decoder classifier, of LoRA or not, as `pipeline("decision")` reads it, temperature and threshold too.

    Raises:
        InputError: another task or model, or a folder that is not empty.
    """
    if not isinstance(task, TextClassification):
        raise InputError(
            f"--decision: {run_folder} is a {task.name} model, expected a text classifier; leave the flag out"
        )
    output = make_folder(output_dir)
    if any(output.iterdir()):
        raise InputError(f"--output_dir {output}: exists and is not empty; name a new folder")
    tokenizer, model = load_run(run_folder, task.auto_model, quantized=False)
    ours: dict[str, Any] = {"label_names": list(task.label_names)}
    if task.positive_label is not None:
        ours |= {"positive_label": task.positive_label, "threshold": task.threshold}
    plain = model.merge_and_unload() if isinstance(model, PeftModel) else model
    save_decision_model(output, plain, tokenizer, temperature=task.temperature, ours=ours)


def carry_results(run: RunFolder, output: Path, drift: float) -> list[str]:
    """Gives merged weights the results of their run, so that they can be pushed; returns the names of the files.

    Args:
        run: that was merged.
        output: the folder of the merged weights.
        drift: the largest difference of a logit, kept in run.json.
    """
    carried = [name for name in RESULTS if (run.path / name).exists()]
    for name in carried:
        shutil.copy2(run.path / name, output / name)
    if (run.path / "predictions").is_dir():
        shutil.copytree(run.path / "predictions", output / "predictions")
        carried.append("predictions")
    if run.settings:
        write_json(
            output / "run.json", {**run.settings, "merged": {"from": run.name, "largest_logit_difference": drift}}
        )
        carried.append("run.json")
    if "test" in run.metrics and run.table_path("test").exists():
        write_card(output, _report(RunFolder(output)))
        carried.append("README.md")
    return carried


def _report(merged: RunFolder) -> Report:
    """Of the results that were carried: the run's own card loads the adapter, this one loads what lies here."""
    table, scores = merged.table("test"), merged.metrics["test"]
    verdict = merged.verdict and replace(merged.verdict, headline=headline(table, scores))
    baselines = {name.partition("/")[2]: of for name, of in merged.metrics.items() if name.startswith("test/")}
    return Report.of_run(merged.path, table, scores, baselines=baselines, verdict=verdict)


def check_scores(run: RunFolder, merged: str, task: Task, *, trust_remote_code: bool = False) -> list[str]:
    """Scores rows of a language model's test table again; a line on it, none of other tasks.

    Raises:
        InputError: the merged weights predict them otherwise; they are deleted.
    """
    if not (run.path / "predictions" / "test.parquet").exists():
        return []
    table = run.table("test")
    rows = task.rescored(table)
    if rows is None:
        return []
    again = run_model(merged, task, rows, batch_size=BATCH, cpu_threads=None, trust_remote_code=trust_remote_code)
    before = float(np.sum(table.column("nll")[: len(rows)]))
    after = float(np.sum(task.tabulate(again.outputs, again.encoded).column("nll")))
    apart = abs(after - before) / max(before, 1e-9)
    stored = load_config(merged, trust_remote_code=trust_remote_code).dtype or torch.float32
    bound = max(FLOAT32_TOLERANCE, 2 * torch.finfo(stored).eps)
    for bits in (4, 8):
        if run.arguments("model").get(f"load_in_{bits}bit"):
            return [
                f"{len(rows)} test rows: {before:.1f} nats on {bits}-bit weights, {after:.1f} merged into full ones"
            ]
    if not apart <= bound:
        shutil.rmtree(merged)
        raise InputError(
            f"{run.path}: the merged weights take {after:.1f} nats for {len(rows)} test rows, the run took "
            f"{before:.1f}, expected no more than {bound:.2g} of that apart; nothing was written. Use the run as it is"
        )
    return [f"{len(rows)} test rows scored again: {after:.1f} nats, {before:.1f} in the run"]
