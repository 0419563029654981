"""Whether an exported model is the measured one: onnxruntime answers the run's test rows in a fresh process."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmtune.comparison.differences import Comparison, compare_predictions
from llmtune.diagnosis.check import FAIL
from llmtune.diagnosis.rescored_rows import distances
from llmtune.diagnosis.saved_model import Rescored, saved_model
from llmtune.errors import InputError
from llmtune.finish.fresh_process import Request, task_settings
from llmtune.finish.saved_model import FreshProcess, begin_rescoring
from llmtune.predictions import Predictions
from llmtune.stats import clopper_pearson_interval
from llmtune.tasks.task import Task

NAMES = ("the run", "the exported model")


@dataclass(frozen=True)
class ExportedModelCheck:
    """The check `saved_model` of files that onnxruntime computes.

    Args:
        run: its name, for messages.
        task: of the run.
        table: its test rows, as it predicted them.
        relative: by which logits and numbers may be apart.
        most: rows that are scored again, at most.
        cpu_threads: of the fresh process; None for all.
        trust_remote_code: run Python code that came with the checkpoint.
    """

    run: str
    task: Task
    table: Predictions
    relative: float
    most: int
    cpu_threads: int | None = None
    trust_remote_code: bool = False

    def rescored(self, folder: Path, files: Sequence[str]) -> list[Rescored]:
        """What each of the files of a folder answers, with the config and the tokenizer that lie there."""
        rows = self.task.rescored(self.table)
        assert rows is not None, "a table of rows that are answered in one pass holds them"
        process = FreshProcess()
        rescorings = []
        for file in files:
            request = Request(
                str(folder.resolve()),
                self.table.split,
                task_settings(self.task),
                trust_remote_code=self.trust_remote_code,
                cpu_threads=self.cpu_threads,
                onnx=file,
            )
            rescorings.append(
                begin_rescoring(request, self.task, rows, self.table, relative=self.relative, most=self.most)
            )
            process.ask(rescorings[-1].folder)
        ended = process.finish()
        return [rescoring.result(ended) for rescoring in rescorings]

    def require_same(self, rescored: Rescored) -> str:
        """A line that says how near it is.

        Raises:
            InputError: it is not the model that was measured, or nobody could see whether it is.
        """
        if rescored.unchecked:
            raise InputError(
                f"{self.run}: the exported model could not score the test rows ({rescored.unchecked}), so nothing was "
                "written; give --max_eval_samples, or a machine with more memory"
            )
        check = saved_model(rescored)
        if check.status == FAIL:
            raise InputError(
                f"{self.run}: exported, it is another model; nothing was written. {check.finding}. Use the run as it "
                "is (llmtune predict); where its files were changed, restore them; where its table comes from another "
                "machine or precision, run llmtune evaluate here, and give its table as --predictions"
            )
        return check.finding

    def loss_of(self, rescored: Rescored, file: str, *, seed: int) -> dict[str, Any]:
        """What a file's answers lose against the run's; JSON values.

        Args:
            rescored: what it answers.
            file: its name, for a message.
            seed: of the intervals.

        Raises:
            InputError: it answers nothing.
        """
        if rescored.again is None:
            reason = rescored.refused or rescored.unchecked
            raise InputError(f"{self.run}: {file} can't be used ({reason}), so nothing was written; leave out --int8")
        comparison = compare_predictions(rescored.expected, rescored.again, names=NAMES, seed=seed)
        return {**agreement(rescored), **metric_loss(comparison)}


def agreement(rescored: Rescored) -> dict[str, Any]:
    """On how many rows the answer is the run's, and by how much numbers differ; no decisions where answers are numbers.

    Of a row of words all tags must be the same.
    """
    expected, again = rescored.expected, rescored.again
    assert again is not None
    facts: dict[str, Any] = {"rows": len(expected), "rows_of_test": rescored.rows_of_test}
    if "prediction" not in expected.kind.number_columns:
        pairs = zip(expected.column("prediction"), again.column("prediction"), strict=True)
        equal = sum(a == b for a, b in pairs)
        low, high, _ = clopper_pearson_interval(equal, len(expected))
        share = {"value": equal / len(expected), "low": low, "high": high}
        facts |= {"rows_decided_alike": equal, "share_decided_alike": share}
    return {
        **facts,
        "largest_difference": distances(expected, again, rescored.relative).largest,
    }


def metric_loss(comparison: Comparison) -> dict[str, Any]:
    """The metric that decides, of the run and of the exported model, with the paired interval of the difference."""
    main = comparison.main
    return {
        "metric": main.name,
        "of_run": main.a,
        "value": main.b,
        "difference": main.difference,
        "low": main.low,
        "high": main.high,
        "level": main.level,
        "reason": main.reason,
        "identical": comparison.identical,
        "significantly_worse": comparison.significantly_worse,
    }
