"""What both ways of answering share: scores by answerability, and what is said of questions and contexts."""

from collections.abc import Mapping, Sequence
from typing import Any

import datasets

from llmtune.arguments import DataArguments
from llmtune.diagnosis.leakage import Examples
from llmtune.metrics import exact_match, token_f1
from llmtune.predictions import Predictions, make_predictions
from llmtune.tasks.task import Encoded, Task, count_splits

METRICS = {"exact_match": exact_match, "f1": token_f1}


class Answering(Task):
    """A task that answers questions on a context, by marking the answer there or by writing it."""

    kind = "question-answering"
    deciding_metric = "f1"
    shown = scored = ("exact_match", "f1")

    def train_texts(self, splits: Any) -> list[str]:
        """Contexts and questions of train."""
        return splits.train_texts()

    def table_of(
        self, answers: Sequence[str], encoded: Encoded, carried: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> Predictions:
        """The predictions table; every column of the rows beside question and answers is carried, then `carried`."""
        rows = encoded.rows
        columns: dict[str, list[Any]] = {
            "question": list(rows["question"]),
            "reference": [list(answer["text"]) for answer in rows["answers"]],
            "prediction": list(answers),
        }
        own = {name: list(rows[name]) for name in rows.column_names if name not in ("question", "answers")}
        return make_predictions(
            self.kind, columns, carried={**own, **carried}, split=encoded.split, settings=self.settings(**settings)
        )

    def rescored(self, table: Predictions) -> datasets.Dataset:
        """Questions, contexts, and answers where they first stand there: a table does not say where they were."""
        contexts = table.column("context")
        answers = [
            {"text": texts, "answer_start": [context.find(text) for text in texts]}
            for texts, context in zip(table.column("reference"), contexts, strict=True)
        ]
        return datasets.Dataset.from_dict(
            {"question": table.column("question"), "context": contexts, "answers": answers}
        )

    def example_table(self, rows: datasets.Dataset | None = None) -> Predictions:
        """A question that is answered; of rows each with its first answer, or none."""
        references = [["yes"]] if rows is None else [list(answer["text"]) for answer in rows["answers"]]
        answers = [reference[0] if reference else "" for reference in references]
        return make_predictions(
            self.kind, {"question": ["?"] * len(answers), "reference": references, "prediction": answers}
        )

    def leakage_examples(self, rows: datasets.Dataset, data: DataArguments) -> Examples:
        """Questions with their contexts: a context must not stand on two sides of a split."""
        contexts = list(rows["context"])
        asked = [f"{question} {context}" for question, context in zip(rows["question"], contexts, strict=True)]
        return Examples(asked, ids={"context": contexts})

    def summary(self, splits: Any, encoded: Mapping[str, Encoded]) -> list[str]:
        """Questions, contexts, those without an answer; what did not fit."""
        lines, described = [], splits.describe()
        for split, facts in described.items():
            lines.append(
                f"{split:<11}{facts['rows']:>8,} questions on {facts['contexts']:,} contexts, "
                f"{facts['unanswerable']:,} without an answer; {facts['made']}"
            )
        repeats = {pair: n for facts in described.values() for pair, n in facts["duplicates"].items()}
        lines.append(f"repeated questions: {count_splits(repeats)}")
        lines += self.fit_lines(encoded)
        absent = {split: facts["unanswerable"] for split, facts in described.items() if facts["unanswerable"]}
        if absent and "train" not in absent:
            lines.append(
                f"absent from train, so all answered wrongly: questions without an answer, {count_splits(absent)}"
            )
        return lines

    def fit_lines(self, encoded: Mapping[str, Encoded]) -> list[str]:
        """What of the contexts and answers did not fit."""
        raise NotImplementedError

    def run_facts(self, predictions: Mapping[str, Predictions], *, seed: int) -> dict[str, Any]:
        """Scores of the questions with and without an answer."""
        return {"answerable": scores_by_answerability(predictions["test"])}


def scores_by_answerability(test: Predictions) -> dict[str, dict[str, float]] | None:
    """Exact match, F1 and number of the questions with and without an answer; None where all are of one sort."""
    references, texts = test.column("reference"), test.column("prediction")
    scores = {}
    for name, is_answerable in (("with", True), ("without", False)):
        rows = [row for row, answers in enumerate(references) if bool(answers) is is_answerable]
        if not rows:
            return None
        columns = {"prediction": [texts[row] for row in rows], "reference": [references[row] for row in rows]}
        values = {
            metric: float(module.score(module.statistics(columns).sum(axis=0)[None])[0])
            for metric, module in METRICS.items()
        }
        scores[name] = {**values, "questions": len(rows)}
    return scores


def answerability_lines(facts: Mapping[str, Any]) -> list[str]:
    """The scores of both sorts of questions as a line; none where there is one sort."""
    if facts["answerable"] is None:
        return []
    answered, empty = facts["answerable"]["with"], facts["answerable"]["without"]
    return [
        f"{answered['questions']:,} questions with an answer: exact match {answered['exact_match']:.1f}, "
        f"F1 {answered['f1']:.1f}; {empty['questions']:,} without: {empty['exact_match']:.1f} % left unanswered"
    ]
