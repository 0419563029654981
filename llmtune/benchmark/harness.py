"""Tasks of lm-eval (the Language Model Evaluation Harness) by name: its rows and prompts, our models and intervals.

`--tasks lm_eval=arc_easy`, or `lm_eval=mine.yaml` with a task of one's own. The harness makes contexts, demonstrations
and continuations; who answers, served models too, the paired tests and the verdict are those of every other task. Its
numbers are acc, acc_norm and bits per byte as the harness itself gives them.
"""

import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

import datasets

from llmtune.arguments import DataArguments
from llmtune.benchmark.choices import ChoicesBenchmark
from llmtune.benchmark.language_models import Pair
from llmtune.benchmark.perplexity import PerplexityBenchmark
from llmtune.benchmark.task import BenchmarkTask, TaskOptions
from llmtune.data import Fingerprint
from llmtune.data.splits import fingerprint_cells
from llmtune.errors import InputError, truncated_repr
from llmtune.tasks.task import Task

NAME = "lm_eval"  # among --tasks
MOST_NAMES = 5  # of a group, in a message
CHOICES, ROLLING = "multiple_choice", "loglikelihood_rolling"


class HarnessChoices(ChoicesBenchmark):
    """A task of lm-eval that chooses between continuations by their likelihood.

    Args:
        harness_task: of lm-eval.
        file: its name, or the yaml file that it was read from.
        options: of which the demonstrations, the seed and the number of rows are used.
    """

    name = NAME
    template = "{question}"  # a context of the harness, which holds its demonstrations
    draws_demonstrations = False

    def __init__(self, harness_task: Any, file: str, options: TaskOptions) -> None:
        super().__init__(file, options)
        self.harness_task = harness_task
        self.harness_pairs: list[list[Pair]] = []

    def read(self, data: DataArguments) -> tuple[datasets.Dataset, Fingerprint]:
        """`question` with its demonstrations, `choices` and the place of the right one."""
        rows: dict[str, list[Any]] = {"question": [], "choices": [], "answer": []}
        for place, (document, context) in enumerate(_documents(self.harness_task, self.options)):
            choices = [str(choice) for choice in self.harness_task.doc_to_choice(document)]
            requests = self.harness_task.construct_requests(document, context)[: len(choices)]
            self.harness_pairs.append([(str(first), str(second)) for first, second in (one.args for one in requests)])
            rows["question"].append(self.harness_pairs[-1][0][0])
            rows["choices"].append(choices)
            rows["answer"].append(self._right(document, choices, place))
        return _with_fingerprint(rows, f"{NAME}:{self.file}")

    def _right(self, document: Any, choices: Sequence[str], place: int) -> int:
        task = self.harness_task
        target = task.doc_to_text(document) if task.multiple_input else task.doc_to_target(document)
        if isinstance(target, str) and target in choices:
            target = choices.index(target)
        if not isinstance(target, int) or not 0 <= target < len(choices):
            raise InputError(
                f"--tasks {NAME}={self.file}: row {place} has the target {target!r}, expected the place of one of its "
                f"{len(choices)} choices; run a task of several right answers with lm_eval itself"
            )
        return target

    def is_answered_by(self, trained: Task) -> bool:
        """Never: a classifier has the same classes for every row."""
        return False

    def prompts(self) -> list[str]:
        """The contexts of the harness."""
        return list(self.test[0]["question"])

    def pairs(self) -> list[list[Pair]]:
        """As the harness asks them."""
        assert len(self.test[0]) == len(self.harness_pairs)
        return self.harness_pairs


class HarnessTexts(PerplexityBenchmark):
    """A task of lm-eval that scores whole texts (wikitext, the Pile …).

    Args:
        harness_task: of lm-eval.
        file: its name, or the yaml file that it was read from.
        options: of which the number of rows is used.
    """

    name = NAME
    draws_demonstrations = False

    def __init__(self, harness_task: Any, file: str, options: TaskOptions) -> None:
        super().__init__(file, options)
        self.harness_task = harness_task

    def read(self, data: DataArguments) -> tuple[datasets.Dataset, Fingerprint]:
        """`text`."""
        rows = list(self.harness_task.eval_docs)[: self.options.max_eval_samples]
        texts = [str(self.harness_task.doc_to_target(row)) for row in rows]
        return _with_fingerprint({"text": texts}, f"{NAME}:{self.file}")

    def is_answered_by(self, trained: Task) -> bool:
        """Never: the rows lie in no file that it could read; as a language model it is asked like the others."""
        return False


def harness_benchmark(file: str, options: TaskOptions) -> BenchmarkTask:
    """The task of lm-eval by this name, or of this yaml file.

    Raises:
        InputError: lm-eval is not installed, has no such task, or scores it by what a model writes.
    """
    if importlib.util.find_spec("lm_eval") is None:
        raise InputError(
            f"--tasks {NAME}={file}: lm-eval is not installed: pip install 'llmtune[benchmark]'; or give rows of your "
            "own, as choices=FILE"
        )
    for flag, given in (
        ("--prompt_template", options.prompt_template),
        ("--use_chat_template", options.use_chat_template),
    ):
        if given:
            raise InputError(f"{flag}: the prompts of {NAME}={file} are those of lm-eval; leave it out")
    task = _harness_task(file)
    if task.OUTPUT_TYPE == CHOICES:
        return HarnessChoices(task, file, options)
    if task.OUTPUT_TYPE == ROLLING:
        return HarnessTexts(task, file, options)
    raise InputError(
        f"--tasks {NAME}={file}: lm-eval scores it by {task.OUTPUT_TYPE}, expected {CHOICES} or {ROLLING}, which have "
        "an interval and a paired test here; run it with lm_eval itself"
    )


def _harness_task(file: str) -> Any:
    from lm_eval.tasks import TaskManager

    try:
        tasks = list(TaskManager().load(file)["tasks"].values())
    except (KeyError, OSError, ValueError) as error:
        raise InputError(
            f"--tasks {NAME}={file}: lm-eval can't load it ({type(error).__name__}: {truncated_repr(str(error))}); "
            "expected one of its tasks (`lm_eval ls tasks` lists them), or a yaml file of one, and its data at hand"
        ) from error
    if len(tasks) != 1:
        names = ", ".join(task.task_name for task in tasks[:MOST_NAMES])
        raise InputError(f"--tasks {NAME}={file}: a group of {len(tasks)} tasks; name one of them: {names} …")
    return tasks[0]


def _documents(task: Any, options: TaskOptions) -> list[tuple[Any, Any]]:
    """Each row that is scored, with its context; of a task with several inputs, a list of contexts."""
    shots = options.num_fewshot or task.config.num_fewshot or 0
    task.set_fewshot_seed(options.seed)
    rows = list(task.eval_docs)[: options.max_eval_samples]
    return [(row, task.fewshot_context(row, shots)) for row in rows]


def _with_fingerprint(cells: Mapping[str, list[Any]], source: str) -> tuple[datasets.Dataset, Fingerprint]:
    ids = list(range(len(next(iter(cells.values())))))
    return datasets.Dataset.from_dict({"id": ids, **cells}), fingerprint_cells(cells, source)
