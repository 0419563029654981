"""Classes: a fine-tuned classifier, or a prompted model by the likelihood of the labels or by what it writes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import datasets
import numpy as np

from llmtune.arguments import DataArguments
from llmtune.baselines import majority, tfidf_logistic_regression
from llmtune.benchmark.language_models import LanguageModel, Likelihood, Pair
from llmtune.benchmark.task import DECISION, LIKELIHOOD, BenchmarkTask
from llmtune.data import Fingerprint, load_split
from llmtune.data.columns import label_text
from llmtune.data.files import read_rows
from llmtune.errors import InputError
from llmtune.predictions import Predictions, make_predictions
from llmtune.predictions.label_spelling import sort_labels
from llmtune.stats import softmax
from llmtune.tasks.task import Task
from llmtune.tasks.text_classification.task import TextClassification
from llmtune.text.label_names import default_positive


class ClassificationBenchmark(BenchmarkTask):
    """One text, one of c labels. The labels are those of the test and the train file."""

    name = "classification"
    kind = "classification"
    fields = ("text", "labels")
    template = "Text: {text}\nLabel:"
    max_new_tokens = 16

    @property
    def by_likelihood(self) -> bool:
        """As --scoring says; a local model decides by the likelihoods of the labels."""
        return self.options.scoring in (LIKELIHOOD, DECISION)

    @property
    def by_decision(self) -> bool:
        """As --scoring says."""
        return self.options.scoring == DECISION

    def read(self, data: DataArguments) -> tuple[datasets.Dataset, Fingerprint]:
        """`text` and `label`."""
        columns = {name: self.column(name) for name in ("text", "label")}
        rows = read_rows(str(data.test_file))
        cells = rows.cells(columns["label"]) if rows.has(columns["label"]) else []
        labels = {label for label in map(label_text, cells) if label is not None}
        return load_split(
            data, "test", columns=columns, label_column="label", text_columns=["text"], label_names=sort_labels(labels)
        )

    @cached_property
    def label_names(self) -> tuple[str, ...]:
        """The classes, in the order of the probabilities."""
        names = {*self.test[0]["label"], *self.train["label"]}
        if len(names) < 2:
            raise InputError(
                f"{self.file}: column {self.column('label')!r} has the one class {names.pop()!r}, expected two or "
                "more; add rows of another class, or name --train_file with the others"
            )
        return sort_labels(names)

    @cached_property
    def positive_label(self) -> str:
        """Of two classes, the one that F1 is about."""
        given = self.options.positive_label
        if given is not None and given not in self.label_names:
            raise InputError(
                f"--positive_label {given!r}: is none of the labels {', '.join(self.label_names)} of {self.file}"
            )
        return given or default_positive(self.label_names, Counter(self.test[0]["label"]))

    def check_beside_others(self, trained: Task, name: str) -> None:
        """Raises InputError where the model has other classes than the rows."""
        assert isinstance(trained, TextClassification)
        if set(trained.label_names) != set(self.label_names):
            raise InputError(
                f"{name}: has the labels {', '.join(trained.label_names)}, and the other models are asked for "
                f"{', '.join(self.label_names)}, those of {self.file} and --train_file; name as --train_file rows of "
                "all its labels, or leave it out"
            )

    def instruction(self) -> str:
        """The labels that there are."""
        return f"Give each text one label: {self._listed()}.\n\n"

    def row_fields(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Text and labels."""
        return {"text": row["text"], "labels": self._listed()}

    def answer(self, row: Mapping[str, Any]) -> str:
        """The label."""
        return str(row["label"]).strip()

    def _listed(self) -> str:
        return ", ".join(label.strip() for label in self.label_names)

    def demonstrated(self) -> list[int]:
        """Of every class in turn: a prompt that shows one class alone teaches to answer it."""
        places: dict[str, list[int]] = {label: [] for label in self.label_names}
        drawn = np.random.default_rng(self.options.seed).permutation(len(self.train)).tolist()
        labels = list(self.train["label"])
        for place in drawn:
            places[labels[place]].append(place)
        rounds = range(max(map(len, places.values()), default=0))
        turns = [of_label[turn] for turn in rounds for of_label in places.values() if turn < len(of_label)]
        return turns[: self.options.num_fewshot]

    def pairs(self) -> list[list[Pair]]:
        """Each prompt with each label."""
        answers = [f"{self.prompt.separator}{label.strip()}" for label in self.label_names]
        return [[(prompt, answer) for answer in answers] for prompt in self.prompts()]

    def predicted_by(self, model: LanguageModel) -> Predictions:
        """By likelihood with probabilities: the labels' softmax; the first of equals is taken, and counted."""
        if not self.by_decision:
            return self._by_likelihood(model) if self.by_likelihood else self._by_writing(model)
        texts = list(self.test[0]["text"])
        probabilities = np.array(model.decide(texts, self.prompts(), self.label_names, self.prompt.separator))
        return self.table([self.label_names[place] for place in probabilities.argmax(axis=1)], [], {}, probabilities)

    def _by_likelihood(self, model: LanguageModel) -> Predictions:
        c = len(self.label_names)
        likelihoods = model.likelihoods([pair for row in self.pairs() for pair in row])
        nats = np.array([each.nats for each in likelihoods]).reshape(-1, c)
        ties = int((np.isclose(nats, nats.min(axis=1, keepdims=True), rtol=0, atol=1e-9).sum(axis=1) > 1).sum())
        notes = [f"rows on which two labels are equally probable: {ties} (the first label is taken)"] if ties else []
        probabilities = softmax(-nats)
        predictions = [self.label_names[place] for place in nats.argmin(axis=1)]
        return self.table(predictions, notes, {"tokens": _tokens(likelihoods, c)}, probabilities)

    def _by_writing(self, model: LanguageModel) -> Predictions:
        written = model.write(self.prompts(), self.answer_tokens)
        references = list(self.test[0]["label"])
        named = [named_label(text, self.label_names) for text in written]
        unnamed = named.count(None)
        # Never a guess: a row without a label is wrong, as another label than the right one.
        wrong = [next(name for name in self.label_names if name != reference) for reference in references]
        predictions = [other if label is None else label for label, other in zip(named, wrong, strict=True)]
        notes = [f"answers that name no label: {unnamed} of {len(named)}, each counted as wrong"] if unnamed else []
        return self.table(predictions, notes, {"answer": written})

    def table(
        self,
        predictions: Sequence[str],
        notes: Sequence[str],
        carried: Mapping[str, Any],
        probabilities: np.ndarray | None = None,
    ) -> Predictions:
        """The predictions table of the rows."""
        rows = self.test[0]
        columns: dict[str, Any] = {"reference": list(rows["label"]), "prediction": list(predictions)}
        columns |= {} if probabilities is None else {"probabilities": probabilities}
        own = {name: list(rows[name]) for name in rows.column_names if name != "label"}
        return make_predictions(
            self.kind,
            columns,
            carried={**own, **carried},
            label_names=self.label_names,
            positive_label=self.positive_label if len(self.label_names) == 2 else None,
            settings={"benchmark_notes": list(notes)},
        )

    def baselines(self) -> dict[str, Predictions]:
        """The most frequent class of train, and TF-IDF with logistic regression."""
        if not len(self.train):
            raise InputError(
                "--models baselines: the simple models are trained on the rows of train; add --train_file FILE"
            )
        texts, labels = list(self.train["text"]), list(self.train["label"])
        right = self.table(list(self.test[0]["label"]), [], {})
        return {
            "majority": majority(labels, right),
            "TF-IDF + logistic regression": tfidf_logistic_regression(texts, labels, right.column("text"), right),
        }


def named_label(text: str, label_names: Sequence[str]) -> str | None:
    """The label that an answer begins with, whatever its case; the longest of several; None where it names none.

    >>> [named_label(text, [" ham", "spam", "spam call"]) for text in ("Spam.", "spam call", "the text is ham", "ham")]
    ['spam', 'spam call', None, ' ham']
    """
    folded = text.strip().strip("\"'`*").casefold()
    folded_names = {name: name.strip().casefold() for name in label_names}
    fitting = [
        name
        for name, start in folded_names.items()
        if folded.startswith(start) and not folded[len(start) :][:1].isalnum()
    ]
    return max(fitting, key=len, default=None)


def _tokens(likelihoods: Sequence[Likelihood], c: int) -> list[int]:
    """Tokens that the labels of a row have together."""
    counts = np.array([each.tokens for each in likelihoods]).reshape(-1, c).sum(axis=1)
    return [int(count) for count in counts]
