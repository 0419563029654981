"""Several choices: which answer of a row's own list is the most probable (acc), also by letter (acc_norm), as lm-eval.

`acc` takes the choice with the highest log-likelihood after the question, `acc_norm` the highest per character; of
equals the first, as numpy's arg-max. A predictions table holds the choices' places as labels: 0, 1, 2 …
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import datasets
import numpy as np
import pyarrow as pa

from llmtune.arguments import DataArguments
from llmtune.benchmark.language_models import LanguageModel, Pair
from llmtune.benchmark.task import BenchmarkTask
from llmtune.data import Fingerprint, load_split
from llmtune.data.rows import RowErrors, Rows
from llmtune.errors import truncated_repr
from llmtune.metrics import Score, score_predictions
from llmtune.predictions import Predictions, make_predictions
from llmtune.predictions.kinds import DECIDING_METRIC
from llmtune.stats import softmax
from llmtune.tasks.task import Task

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class ChoicesBenchmark(BenchmarkTask):
    """A question, a list of answers, and which of them is right: its place from 0, its letter, or its text."""

    name = "choices"
    kind = "classification"
    fields = ("question", "choices")
    template = "Question: {question}\nAnswer:"
    needs_likelihood = True
    shown = ("accuracy", "acc_norm")

    def read(self, data: DataArguments) -> tuple[datasets.Dataset, Fingerprint]:
        """`question`, `choices` and `answer`, the place of the right one."""
        columns = {name: self.column(name) for name in ("question", "choices", "answer")}
        return load_split(
            data, "test", columns=columns, label_column=None, text_columns=["question"], convert=self._checked
        )

    def _checked(self, rows: Rows, cells: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        problems = RowErrors(rows.source)
        places = []
        for row, (choices, answer) in enumerate(zip(cells["choices"], cells["answer"], strict=True)):
            is_list = isinstance(choices, list) and all(isinstance(text, str) and text.strip() for text in choices)
            if not is_list or len(choices) < 2:
                finding = f"found {truncated_repr(choices)} as choices, expected a list of two or more texts"
                problems.add(row, rows.place(row), finding, remedy="write the answers to choose from as a list")
                continue
            place = _place(answer, choices)
            if place is None:
                finding = f"found the answer {truncated_repr(answer)}, which is no place, letter or text of its choices"
                problems.add(row, rows.place(row), finding, remedy="give the place of the right choice, counted from 0")
            places.append(place)
        problems.stop()
        return {**cells, "answer": places}

    def is_answered_by(self, trained: Task) -> bool:
        """Never: a classifier has the same classes for every row."""
        return False

    def row_fields(self, row: Mapping[str, Any]) -> dict[str, str]:
        """The question, and the choices a line each with their letters."""
        lettered = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, row["choices"], strict=False)]
        return {"question": row["question"], "choices": "\n".join(lettered)}

    def answer(self, row: Mapping[str, Any]) -> str:
        """The text of the right choice."""
        return str(row["choices"][row["answer"]])

    def pairs(self) -> list[list[Pair]]:
        """Each prompt with each of its choices."""
        separator, lists = self.prompt.separator, self.test[0]["choices"]
        return [[(prompt, separator + text) for text in row] for prompt, row in zip(self.prompts(), lists, strict=True)]

    def predicted_by(self, model: LanguageModel) -> Predictions:
        """The choices' probabilities are the softmax of their likelihoods; `prediction_norm` is acc_norm's."""
        rows = self.test[0]
        lists = list(rows["choices"])
        nats = iter([each.nats for each in model.likelihoods([pair for row in self.pairs() for pair in row])])
        of_rows = [np.array([next(nats) for _ in row]) for row in lists]
        most = max(map(len, lists))
        probabilities = np.zeros((len(lists), most))
        for place, row in enumerate(of_rows):
            probabilities[place, : len(row)] = softmax(-row[None])[0]
        lengths = [np.array([len(text) for text in row], dtype=float) for row in lists]
        best = [int(row.argmin()) for row in of_rows]
        best_norm = [int((row / size).argmin()) for row, size in zip(of_rows, lengths, strict=True)]
        ties = [bool((row == row.min()).sum() > 1) for row in of_rows]
        line = f"rows on which two choices are equally probable: {sum(ties)} (the first is taken, as in lm-eval)"
        columns = {
            "reference": [str(answer) for answer in rows["answer"]],
            "prediction": [str(place) for place in best],
            "probabilities": probabilities,
        }
        carried = {name: list(rows[name]) for name in rows.column_names if name != "answer"}
        return make_predictions(
            self.kind,
            columns,
            carried={**carried, "prediction_norm": [str(place) for place in best_norm], "tie": ties},
            label_names=[str(place) for place in range(most)],
            settings={DECIDING_METRIC: "accuracy", "benchmark_notes": [line] if any(ties) else []},
        )

    def own_scores(self, table: Predictions, seed: int) -> dict[str, Score]:
        """`acc_norm`: the accuracy of the choice that is most probable per character."""
        place = table.table.column_names.index("prediction")
        normed = table.table.column("prediction_norm").cast(pa.string())
        columns = table.table.set_column(place, "prediction", normed).drop_columns(["probabilities"])
        return {"acc_norm": score_predictions(replace(table, table=columns), seed=seed)["accuracy"]}


def _place(answer: Any, choices: list[str]) -> int | None:
    """The place that an answer names: a number from 0, a letter, or the text; None where it names none."""
    if isinstance(answer, str) and answer in choices:
        return choices.index(answer)
    if isinstance(answer, str) and len(answer) == 1 and answer in LETTERS:
        answer = LETTERS.index(answer)
    if isinstance(answer, str) and answer.isdigit():
        answer = int(answer)
    is_place = isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(choices)
    return int(answer) if is_place else None
