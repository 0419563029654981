"""Tasks of lm-eval (the Language Model Evaluation Harness) by name: its rows and prompts, our models and intervals.

`--tasks lm_eval=arc_easy`, or `lm_eval=mine.yaml` with a task of one's own. The harness makes contexts, demonstrations
and continuations; who answers, served models too, the paired tests and the verdict are those of every other task. Its
numbers (acc, acc_norm, bits per byte, the metrics of written answers) are those that the harness itself gives.
"""

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from numbers import Real
from typing import Any

import datasets
import numpy as np

from llmtune.arguments import DataArguments
from llmtune.benchmark.choices import ChoicesBenchmark
from llmtune.benchmark.language_models import LanguageModel, Pair
from llmtune.benchmark.perplexity import PerplexityBenchmark
from llmtune.benchmark.task import BenchmarkTask, TaskOptions
from llmtune.data import Fingerprint
from llmtune.data.splits import fingerprint_cells
from llmtune.errors import InputError, truncated_repr
from llmtune.metrics import Score
from llmtune.predictions import Predictions, make_predictions
from llmtune.predictions.kinds import DECIDING_METRIC
from llmtune.stats import mean_interval, wilson_interval
from llmtune.tasks.task import Task

NAME = "lm_eval"  # among --tasks
MOST_NAMES = 5  # of a group, in a message


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


class HarnessContinuations(HarnessTexts):
    """A task of lm-eval that scores one continuation a row (LAMBADA …): by the nats of its tokens.

    Whether the model would have written it (lm-eval's acc) is not asked.
    """

    def read(self, data: DataArguments) -> tuple[datasets.Dataset, Fingerprint]:
        """`text`, what goes on, and `context`."""
        requests = _requests(self.harness_task, self.options)
        contexts, texts = zip(*(request.args for request in requests), strict=True)
        return _with_fingerprint({"context": list(contexts), "text": list(texts)}, f"{NAME}:{self.file}")

    def pairs(self) -> list[list[Pair]]:
        """As the harness asks them."""
        rows = self.test[0]
        return [[pair] for pair in zip(rows["context"], rows["text"], strict=True)]


class HarnessAnswers(BenchmarkTask):
    """A task of lm-eval whose answers are written (GSM8K …), cut, filtered and scored as the harness does it.

    Its own metrics stand beside the exact match and F1 of question answering, which decide here.

    Args:
        harness_task: of lm-eval.
        file: its name, or the yaml file that it was read from.
        options: of which the demonstrations, the seed, the number of rows and of new tokens are used.
    """

    name = NAME
    kind = "question-answering"
    fields = ("question",)
    template = "{question}"
    draws_demonstrations = False
    max_new_tokens = 256  # lm-eval's own, where a task says nothing

    def __init__(self, harness_task: Any, file: str, options: TaskOptions) -> None:
        super().__init__(file, options)
        self.harness_task = harness_task

    @cached_property
    def requests(self) -> list[Any]:
        """What the harness asks, one a row."""
        return list(_requests(self.harness_task, self.options))

    @property
    def answer_tokens(self) -> int:
        """Tokens of an answer at most."""
        own = (self.harness_task.config.generation_kwargs or {}).get("max_gen_toks")
        return self.options.max_new_tokens or own or self.max_new_tokens

    def read(self, data: DataArguments) -> tuple[datasets.Dataset, Fingerprint]:
        """`question` with its demonstrations, and the texts of `answers`."""
        targets = [self.harness_task.doc_to_target(request.doc) for request in self.requests]
        answers = [[str(text) for text in target] if isinstance(target, list) else [str(target)] for target in targets]
        questions = [request.args[0] for request in self.requests]
        return _with_fingerprint({"question": questions, "answers": answers}, f"{NAME}:{self.file}")

    def is_answered_by(self, trained: Task) -> bool:
        """Never: the rows lie in no file that it could read."""
        return False

    def row_fields(self, row: Mapping[str, Any]) -> dict[str, str]:
        """The context of the harness."""
        return {"question": row["question"]}

    def answer(self, row: Mapping[str, Any]) -> str:
        """The first answer."""
        return str(row["answers"][0])

    def predicted_by(self, model: LanguageModel) -> Predictions:
        """The answers up to what ends them, through the first filter of the task, and the harness's metrics of each."""
        ends = (self.harness_task.config.generation_kwargs or {}).get("until") or []
        ends = [ends] if isinstance(ends, str) else ends
        for request, written in zip(self.requests, model.write(self.prompts(), self.answer_tokens), strict=True):
            cuts = [written.find(end) for end in ends if end in written]
            request.resps[:] = [written[: min(cuts)] if cuts else written]
        self.harness_task.apply_filters()
        name = next(iter(self.requests[0].filtered_resps))
        answers = [request.filtered_resps[name] for request in self.requests]
        scored = [
            self.harness_task.process_results(request.doc, [answer])
            for request, answer in zip(self.requests, answers, strict=True)
        ]
        numbers = [metric for metric in scored[0] if all(isinstance(row[metric], Real) for row in scored)]
        own = {f"{NAME}_{metric}": [float(row[metric]) for row in scored] for metric in numbers}
        rows = self.test[0]
        texts = [answer if isinstance(answer, str) else "; ".join(map(str, answer)) for answer in answers]
        columns = {"question": list(rows["question"]), "reference": list(rows["answers"]), "prediction": texts}
        settings = {DECIDING_METRIC: "exact_match"}
        return make_predictions(self.kind, columns, carried={"id": list(rows["id"]), **own}, settings=settings)

    def own_scores(self, table: Predictions, seed: int) -> dict[str, Score]:
        """The means of the harness's metrics: `lm_eval_exact_match` …"""
        scores = {}
        for name in table.table.column_names:
            if not name.startswith(f"{NAME}_"):
                continue
            values = np.array(table.column(name), dtype=np.float64)
            n, total = len(values), float(values.sum())
            if np.isin(values, (0, 1)).all():
                interval = wilson_interval(total, n)
            else:
                interval = mean_interval(n, total, float((values**2).sum()), float((values**3).sum()))
            scores[name] = Score(total / n, interval.low, interval.high, n, f"{NAME}:{version('lm_eval')}")
        return scores


OF_OUTPUT: dict[str, Callable[[Any, str, TaskOptions], BenchmarkTask]] = {
    "multiple_choice": HarnessChoices,
    "loglikelihood_rolling": HarnessTexts,
    "loglikelihood": HarnessContinuations,
    "generate_until": HarnessAnswers,
}


def harness_benchmark(file: str, options: TaskOptions) -> BenchmarkTask:
    """The task of lm-eval by this name, or of this yaml file.

    Raises:
        InputError: lm-eval is not installed, has no such task, or asks it in a way of its own.
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
    of_task = OF_OUTPUT.get(task.OUTPUT_TYPE)
    if of_task is None:
        raise InputError(
            f"--tasks {NAME}={file}: lm-eval asks it as {task.OUTPUT_TYPE}, expected {', '.join(OF_OUTPUT)}; run it "
            "with lm_eval itself"
        )
    return of_task(task, file, options)


def _harness_task(file: str) -> Any:
    harness: Any = importlib.import_module("lm_eval.tasks")
    try:
        tasks = list(harness.TaskManager().load(file)["tasks"].values())
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


def _requests(task: Any, options: TaskOptions) -> list[Any]:
    """What the harness asks of each row that is scored."""
    task.set_config("num_fewshot", options.num_fewshot or task.config.num_fewshot or 0)
    task.set_fewshot_seed(options.seed)
    task.build_all_requests(limit=options.max_eval_samples)
    return list(task.instances)


def _with_fingerprint(cells: Mapping[str, list[Any]], source: str) -> tuple[datasets.Dataset, Fingerprint]:
    ids = list(range(len(next(iter(cells.values())))))
    return datasets.Dataset.from_dict({"id": ids, **cells}), fingerprint_cells(cells, source)
