"""`llmtune merge RUN --output_dir D`: the adapter of a LoRA run added to its base: plain weights, with its results."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from llmtune.diagnosis.check import FAIL
from llmtune.diagnosis.headline import headline
from llmtune.diagnosis.rescored_rows import distances
from llmtune.diagnosis.saved_model import saved_model
from llmtune.errors import InputError
from llmtune.finish.fresh_process import Request, task_settings
from llmtune.finish.saved_model import FreshProcess, begin_rescoring, most_rows, tolerance, tolerance_of_run
from llmtune.models.checkpoints import FLOAT32_TOLERANCE, load_config, load_run, merge_run
from llmtune.models.decision import save_decision_model
from llmtune.report.card import write_card
from llmtune.report.report import Report
from llmtune.runs.folder import RunFolder, check_new_folder, make_folder, write_json
from llmtune.tasks.task import Task
from llmtune.tasks.text_classification.task import TextClassification
from llmtune.terminal.document import print_document, terminal_beside
from llmtune.trained_models import load_task
from llmtune.whole_files import copy_whole, whole_folder

RESULTS = ("metrics.json", "verdict.json", "report.html")


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
    check = MergedModelCheck(RunFolder(run_folder), task)
    drift = merge_run(run_folder, output_dir, task.auto_model, trust_remote_code=trust_remote_code)
    rescored = check.lines(output_dir, trust_remote_code=trust_remote_code)
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
    check_new_folder(Path(output_dir))
    output = make_folder(output_dir)
    tokenizer, model = load_run(run_folder, task.auto_model, quantized=False)
    ours: dict[str, Any] = {"label_names": list(task.label_names)}
    if task.positive_label is not None:
        ours |= {"positive_label": task.positive_label, "threshold": task.threshold}
    plain = model.merge_and_unload() if isinstance(model, PeftModel) else model
    with whole_folder(output) as partial:
        save_decision_model(partial, plain, tokenizer, temperature=task.temperature, ours=ours)


def carry_results(run: RunFolder, output: Path, drift: float) -> list[str]:
    """Gives merged weights the results of their run, so that they can be pushed; returns the names of the files.

    Args:
        run: that was merged.
        output: the folder of the merged weights.
        drift: the largest difference of a logit, kept in run.json.
    """
    carried = [name for name in RESULTS if (run.path / name).exists()]
    for name in carried:
        copy_whole(run.path / name, output / name)
    if (run.path / "predictions").is_dir():
        with whole_folder(output / "predictions") as partial:
            shutil.copytree(run.path / "predictions", partial, dirs_exist_ok=True)
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


class MergedModelCheck:
    """The check `saved_model` of merged weights: they must answer the run's test rows as the run did.

    Args:
        run: that is merged; without a table of its test rows, or where that holds them otherwise than they were read,
            nothing is checked.
        task: of the run.
    """

    def __init__(self, run: RunFolder, task: Task) -> None:
        self.run, self.task = run, task
        self.table = run.table("test") if run.table_path("test").exists() else None
        self.rows = None if self.table is None else task.rescored(self.table)
        # Started first: it imports its libraries while the weights are added.
        self.process = None if self.rows is None else FreshProcess()

    def lines(self, merged: str, *, trust_remote_code: bool = False) -> list[str]:
        """What was seen, as a line; none where nothing is checked.

        Raises:
            InputError: the merged weights answer otherwise; they are deleted.
        """
        if self.table is None or self.rows is None or self.process is None:
            return []
        stored = load_config(merged, trust_remote_code=trust_remote_code).dtype or torch.float32
        relative = max(
            tolerance(str(stored).removeprefix("torch."), "fp32", FLOAT32_TOLERANCE), tolerance_of_run(self.run)
        )
        request = Request(
            str(Path(merged).resolve()), "test", task_settings(self.task), trust_remote_code=trust_remote_code
        )
        most = most_rows(self.table)
        rescoring = begin_rescoring(request, self.task, self.rows, self.table, relative=relative, most=most)
        self.process.ask(rescoring.folder)
        rescored = rescoring.result(self.process.finish())
        if rescored.unchecked:
            return [f"its test rows were not scored again: {rescored.unchecked}"]
        if self.run.bits and rescored.again is not None:
            apart = distances(rescored.expected, rescored.again, relative).largest
            return [
                f"{len(rescored.expected):,} test rows, scored on {self.run.bits}-bit weights and on full ones: {apart}"
            ]
        check = saved_model(rescored)
        if check.status == FAIL:
            shutil.rmtree(merged)
            raise InputError(
                f"{self.run.path}: merged, it is another model; nothing was written. {check.finding}. Use the run as "
                "it is (llmtune evaluate, predict and push read adapters)"
            )
        return [f"saved_model: {check.finding}"]
