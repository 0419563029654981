"""`.eval_results/*.yaml` for model repositories: a model's value on a benchmark that is registered on the Hub.

The Hub shows such a value beside the model and in the benchmark's leaderboard, and takes it for that benchmark alone
(a data set with an `eval.yaml`, hub docs "eval-results"); what is measured on rows of one's own belongs in
`model-index`. So they are written where `--hub_benchmark` says which one these rows are, and only then.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import yaml
from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils._validators import validate_repo_id

from llmtune import __version__
from llmtune.benchmark.results import TaskResult
from llmtune.benchmark.run import file_name
from llmtune.errors import InputError
from llmtune.runs.folder import write_text

FOLDER = "eval_results"  # in a benchmark's; in a model repository it is hidden: .eval_results


def read_hub_benchmark(given: str, tasks: int) -> tuple[str, str]:
    """Data set and task of `--hub_benchmark openai/gsm8k#gsm8k`.

    Raises:
        InputError: not of this form, or of several tasks of which each has rows of its own.
    """
    dataset, _, task = given.partition("#")
    try:
        validate_repo_id(dataset)
    except HFValidationError:
        dataset = ""
    if "/" not in dataset or not re.fullmatch(r"[\w.-]+", task):
        raise InputError(
            f"--hub_benchmark {given!r}: expected a registered benchmark of the Hub and one of its tasks, as "
            "Idavidrein/gpqa#gpqa_diamond"
        )
    if tasks != 1:
        raise InputError(
            f"--hub_benchmark {given}: there are {tasks} tasks, and a benchmark's value is of one; run it by itself"
        )
    return dataset, task


def write_hub_results(folder: Path, result: TaskResult, dataset: str, task: str) -> list[Path]:
    """Writes `eval_results/MODEL/TASK.yaml` of every model that was scored, to be put into its `.eval_results/`.

    Args:
        folder: of the benchmark.
        result: on the benchmark's own rows.
        dataset: of the Hub, by its id.
        task: of the data set.

    Returns:
        the files; a model whose value is undefined has none.
    """
    written = []
    for each in result.scored:
        metric = result.main_metric
        score = None if metric is None else result.scores[each.model][metric]
        if score is None or score.value is None:
            continue
        interval = "" if score.low is None else f", 95 % CI [{score.low:.4f}, {score.high:.4f}]"
        entry = EvalResultEntry(
            dataset_id=dataset,
            task_id=task,
            value=float(score.value),
            date=datetime.now(UTC).strftime("%Y-%m-%d"),
            notes=f"{metric}{interval}, {result.fingerprint.rows} rows, {each.way}, llmtune {__version__}",
        )
        path = folder / FOLDER / file_name(each.model) / f"{task}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False, allow_unicode=True))
        written.append(path)
    return written


def hub_lines(written: Sequence[Path]) -> list[str]:
    """What is told of the files."""
    return [f"{path}: for .eval_results/ in the repository of this model" for path in written]
