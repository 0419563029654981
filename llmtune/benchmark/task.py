"""What a benchmark asks of its models on one file: rows, a prompt, and from answers a predictions table.

Every model is scored on the same rows by the same metrics; a fine-tuned model reads them as in its training, a prompted
one as the prompt says.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import datasets

from llmtune.arguments import DataArguments
from llmtune.arguments.ranges import check_number
from llmtune.benchmark.language_models import LanguageModel, Pair
from llmtune.benchmark.prompts import Prompt, check_prompt_template
from llmtune.data import Fingerprint
from llmtune.errors import InputError
from llmtune.metrics import Score
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import kind_named
from llmtune.tasks.task import Task

LIKELIHOOD, GENERATION, DECISION = SCORINGS = ("likelihood", "generation", "decision")


@dataclass(frozen=True)
class TaskOptions:
    """How rows are read and models are asked; see the flags of `llmtune benchmark`.

    Args:
        columns: canonical name → the user's.
        train_file: rows of the same form: for the simple models, and as demonstrations.
        num_fewshot: demonstrations in a prompt.
        prompt_template: of a row; None for the task's own.
        use_chat_template: whether prompts become the user's turn of a chat.
        scoring: of classes: by the likelihood of the labels, by what is written, or (servers) by a decision endpoint.
        max_new_tokens: of an answer; None for the task's own.
        positive_label: of two classes.
        max_eval_samples: only the first rows.
        seed: of demonstrations and intervals.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    train_file: str | None = None
    num_fewshot: int = 0
    prompt_template: str | None = None
    use_chat_template: bool = False
    scoring: str = LIKELIHOOD
    max_new_tokens: int | None = None
    positive_label: str | None = None
    max_eval_samples: int | None = None
    seed: int = 42


class BenchmarkTask(ABC):
    """One task on one file.

    Args:
        file: the labeled rows.
        options: how they are read and asked.

    Raises:
        InputError: options that contradict each other; a row that can't be read, once rows are asked for.
    """

    name: ClassVar[str]
    """As `--tasks` says it."""

    kind: ClassVar[str]
    """Of its predictions tables."""

    fields: ClassVar[tuple[str, ...]] = ()
    """Of a prompt template."""

    template: ClassVar[str] = ""
    """Where no other one is given."""

    needs_likelihood: ClassVar[bool] = False
    """Whether it can't be scored by what a model writes."""

    draws_demonstrations: ClassVar[bool] = True
    """Whether demonstrations are rows of --train_file."""

    shown: ClassVar[tuple[str, ...]] = ()
    """Metrics that a person reads; empty for the headlines of the kind."""

    max_new_tokens: ClassVar[int] = 64
    """Tokens of an answer at most, where no other number is given."""

    def __init__(self, file: str, options: TaskOptions) -> None:
        self.file, self.options = file, options
        if options.scoring not in SCORINGS:
            raise InputError(f"--scoring {options.scoring!r}: expected one of {', '.join(SCORINGS)}")
        check_number("num_fewshot", options.num_fewshot)
        if self.draws_demonstrations and options.num_fewshot and options.train_file is None:
            raise InputError(
                f"--num_fewshot {options.num_fewshot}: the demonstrations are rows of train; add --train_file FILE"
            )

    @property
    def by_likelihood(self) -> bool:
        """Whether a prompted model is asked how probable answers are; else it writes them."""
        return self.needs_likelihood

    @property
    def by_decision(self) -> bool:
        """Whether a server is asked for the probability of each label, at its decision endpoint."""
        return False

    @property
    def answer_tokens(self) -> int:
        """Tokens of an answer at most."""
        return self.options.max_new_tokens or self.max_new_tokens

    @cached_property
    def test(self) -> tuple[datasets.Dataset, Fingerprint]:
        """The rows that every model answers."""
        return self.read(self.data(self.file))

    @cached_property
    def train(self) -> datasets.Dataset:
        """The rows of --train_file; empty without one."""
        if self.options.train_file is None:
            return self.test[0].select([])
        return self.read(DataArguments(test_file=self.options.train_file))[0]

    def data(self, file: str) -> DataArguments:
        """The arguments under which tasks read a file's rows."""
        return DataArguments(test_file=file, max_eval_samples=self.options.max_eval_samples)

    def column(self, name: str) -> str:
        """The user's name of a column."""
        return self.options.columns.get(name, name)

    @abstractmethod
    def read(self, data: DataArguments) -> tuple[datasets.Dataset, Fingerprint]:
        """The rows of a file, checked."""

    def is_answered_by(self, trained: Task) -> bool:
        """Whether a fine-tuned model of this task answers the rows without a prompt."""
        return kind_named(trained.kind) == self.kind

    def rows_for(self, trained: Task) -> datasets.Dataset:
        """The rows as a fine-tuned model reads them.

        Raises:
            InputError: it can't read them.
        """
        columns = {name: self.column(name) for name in ("text", "label", "question", "context", "answers")}
        given = {name: self.options.columns[name] for name in ("source", "target") if name in self.options.columns}
        return trained.read_split(self.data(self.file), {**columns, **given}, labeled=True)[0]

    def check_beside_others(self, trained: Task, name: str) -> None:  # noqa: B027 - most tasks have nothing to check
        """Raises InputError where the table of a fine-tuned model can't be compared with those of other models."""

    @abstractmethod
    def row_fields(self, row: Mapping[str, Any]) -> dict[str, str]:
        """What a template can hold of a row."""

    @abstractmethod
    def answer(self, row: Mapping[str, Any]) -> str:
        """The right answer, for demonstrations."""

    def instruction(self) -> str:
        """What stands before the rows of the task's own template."""
        return ""

    @cached_property
    def prompt(self) -> Prompt:
        """What models without training on this task are asked."""
        given = self.options.prompt_template
        if given is not None:
            check_prompt_template(given, self.fields)
        prompt = Prompt(
            self.template if given is None else given,
            self.instruction() if given is None else "",
            is_chat=self.options.use_chat_template,
        )
        rows = [self.train[place] for place in self.demonstrated()]
        return prompt.with_demonstrations([(self.row_fields(row), self.answer(row)) for row in rows])

    def demonstrated(self) -> list[int]:
        """Rows of train, drawn by the seed."""
        return self.drawn()[: self.options.num_fewshot]

    def drawn(self) -> list[int]:
        """All rows of train in an order of the seed."""
        places = list(range(len(self.train)))
        random.Random(self.options.seed).shuffle(places)
        return places

    def prompts(self) -> list[str]:
        """Of every row."""
        return [self.prompt.text(self.row_fields(row)) for row in self.test[0]]

    def pairs(self) -> list[list[Pair]]:
        """By row the contexts and continuations whose likelihoods decide; of tasks that are scored so."""
        raise NotImplementedError

    def asked_texts(self) -> list[str]:
        """What a server will be sent of each row at most, for its probes."""
        if not self.by_likelihood:
            return self.prompts()
        return ["".join(pair) for row in self.pairs() for pair in row]

    @abstractmethod
    def predicted_by(self, model: LanguageModel) -> Predictions:
        """The table of a prompted model."""

    def baselines(self) -> dict[str, Predictions]:
        """Simple models on the same rows, by the name that a person reads."""
        return {}

    def own_scores(self, table: Predictions, seed: int) -> dict[str, Score]:
        """Scores beyond those of the table's kind."""
        return {}

    def notes(self, table: Predictions) -> Sequence[str]:
        """What must be known of a model's numbers."""
        return [str(note) for note in table.settings.get("benchmark_notes", ())]
