"""Entities: a fine-tuned tagger, or a prompted model that writes `PER: Ada Lovelace; LOC: London` or `none`.

Read strictly: a type that there is, a colon, and words that stand so in the text, or it is no entity and counted.
Writing tells no places: the words are looked for behind the entity before, then in the whole text, where no other
entity stands.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import datasets

from llmtune.arguments import DataArguments
from llmtune.baselines import gazetteer
from llmtune.benchmark.language_models import LanguageModel
from llmtune.benchmark.task import BenchmarkTask
from llmtune.benchmark.writing import first_line
from llmtune.data import Fingerprint
from llmtune.data.files import read_rows
from llmtune.errors import InputError
from llmtune.predictions import Predictions, make_predictions
from llmtune.tasks.task import Task
from llmtune.tasks.token_classification.arguments import TokenClassificationArguments
from llmtune.tasks.token_classification.rows import check_types, load_tagged_split
from llmtune.tasks.token_classification.task import TokenClassification
from llmtune.text.shorten import row_count
from llmtune.text.tag_schemes import count_types, entity_spans

NONE = "none"
BETWEEN = re.compile(r"(?<=\S);(?: |$)")  # a semicolon of the text has a space before it, as every word


class EntitiesBenchmark(BenchmarkTask):
    """Rows of words with a tag each, or texts with character spans; scored by F1 of whole entities."""

    name = "ner"
    kind = "token-classification"
    fields = ("text", "types")
    template = "Text: {text}\nEntities:"
    max_new_tokens = 128

    def read(self, data: DataArguments) -> tuple[datasets.Dataset, Fingerprint]:
        """`tokens` and `tags` (IOB2), of a file of either form."""
        rows = read_rows(str(data.test_file))
        has_spans = rows.has(self.column("spans")) and not rows.has(self.column("tokens"))
        options = TokenClassificationArguments(
            input_format="spans" if has_spans else "tokens",
            text_column=self.column("text"),
            tokens_column=self.column("tokens"),
            tags_column=self.column("tags"),
            spans_column=self.column("spans"),
        )
        return load_tagged_split(data, "test", options)

    @cached_property
    def types(self) -> tuple[str, ...]:
        """The entity types of the test and the train file.

        Raises:
            InputError: there is none.
        """
        types = tuple(sorted({*count_types(self.test[0]["tags"]), *count_types(self.train["tags"])}))
        if not types:
            raise InputError(
                f"{self.file}: no entity in {row_count(len(self.test[0]))}, expected tags B-X or I-X, or spans; name "
                "labeled rows, or --train_file with some"
            )
        return types

    def rows_for(self, trained: Task) -> datasets.Dataset:
        """The same rows: a tagger of words and one of spans both read words."""
        assert isinstance(trained, TokenClassification)
        check_types(self.file, count_types(self.test[0]["tags"]), trained.types)
        return self.test[0]

    def check_beside_others(self, trained: Task, name: str) -> None:
        """Raises InputError where the model knows none of the types, or spells one otherwise."""
        self.rows_for(trained)

    def instruction(self) -> str:
        """The types, and how an answer is written."""
        return (
            f"Name the entities of each text as 'type: words', separated by '; ', or write {NONE}. The types are: "
            f"{', '.join(self.types)}.\n\n"
        )

    def row_fields(self, row: Mapping[str, Any]) -> dict[str, str]:
        """The words, a space between them, and the types."""
        return {"text": " ".join(row["tokens"]), "types": ", ".join(self.types)}

    def answer(self, row: Mapping[str, Any]) -> str:
        """The entities as they are to be written."""
        return written_entities(row["tokens"], row["tags"])

    def demonstrated(self) -> list[int]:
        """Rows of train, drawn by the seed, those first that show types which no earlier one shows."""
        tags = list(self.train["tags"])
        left, shown, places = self.drawn(), set[str](), list[int]()
        while left and len(places) < self.options.num_fewshot:
            best = max(left, key=lambda place: len({*count_types([tags[place]])} - shown))
            shown |= {*count_types([tags[best]])}
            places.append(best)
            left.remove(best)
        return places

    def predicted_by(self, model: LanguageModel) -> Predictions:
        """The entities that each answer names; what is none of the text's is counted."""
        answers = model.write(self.prompts(), self.answer_tokens)
        lines = answers if self.prompt.is_chat else [first_line(answer) for answer in answers]
        rows = list(self.test[0]["tokens"])
        named = [named_entities(line, words, self.types) for line, words in zip(lines, rows, strict=True)]
        unnamed = sum(unread for _, unread in named)
        unread_rows = sum(bool(unread) for _, unread in named)
        notes = []
        if unnamed:
            notes.append(
                f"pieces of answers that are no 'type: words' of their text: {unnamed:,}, in {unread_rows:,} of "
                f"{len(rows):,} answers; none counts as an entity"
            )
        if lost := self.misplaced():
            notes.append(f"entities whose place in the text an answer can't tell, missed by any model: {lost:,}")
        return self.table([tags for tags, _ in named], notes, {"answer": answers})

    def misplaced(self) -> int:
        """Entities that the right answers themselves, read as a model's, put elsewhere: a word occurs before it too."""
        lost = 0
        for row in self.test[0]:
            read, _ = named_entities(self.answer(row), row["tokens"], self.types)
            lost += len({*entity_spans(row["tags"])} - {*entity_spans(read)})
        return lost

    def table(self, tags: Sequence[Sequence[str]], notes: Sequence[str], carried: Mapping[str, Any]) -> Predictions:
        """The predictions table of the rows."""
        rows = self.test[0]
        columns = {"tokens": list(rows["tokens"]), "reference": list(rows["tags"]), "prediction": list(tags)}
        own = {name: list(rows[name]) for name in rows.column_names if name not in ("tokens", "tags")}
        settings = {"scheme": "IOB2", "benchmark_notes": list(notes)}
        return make_predictions(self.kind, columns, carried={**own, **carried}, settings=settings)

    def baselines(self) -> dict[str, Predictions]:
        """The names that train shows."""
        if not len(self.train):
            raise InputError("--models baselines: names are known from the rows of train; add --train_file FILE")
        right = self.table(list(self.test[0]["tags"]), [], {})
        return {"names known from train": gazetteer(list(self.train["tokens"]), list(self.train["tags"]), right)}


def written_entities(words: Sequence[str], tags: Sequence[str]) -> str:
    """The entities of a row as a model should write them.

    >>> written_entities(["Ada", "Lovelace", "left", "London"], ["B-PER", "I-PER", "O", "B-LOC"])
    'PER: Ada Lovelace; LOC: London'
    """
    pieces = [f"{entity.type}: {' '.join(words[entity.first : entity.end])}" for entity in entity_spans(tags)]
    return "; ".join(pieces) or NONE


def named_entities(line: str, words: Sequence[str], types: Sequence[str]) -> tuple[list[str], int]:
    """The IOB2 tags that an answer gives the words, and how many of its pieces are no entity of them.

    >>> named_entities("LOC: London; Ada; DAY: London; LOC: Paris", ["Ada", "left", "London"], ["LOC", "PER"])
    (['O', 'O', 'B-LOC'], 3)
    """
    tags, unread, after = ["O"] * len(words), 0, 0
    if line.strip().rstrip(".").casefold() == NONE:
        return tags, unread
    for piece in BETWEEN.split(line.strip()) if line.strip() else [""]:
        label, sign, text = piece.strip().partition(": ")
        wanted = text.split()
        start = _place(words, wanted, tags, after) if sign and label in types and wanted else None
        if start is None:
            unread += bool(piece.strip()) or not line.strip()
            continue
        after = start + len(wanted)
        tags[start:after] = [f"B-{label}", *[f"I-{label}"] * (len(wanted) - 1)]
    return tags, unread


def _place(words: Sequence[str], wanted: Sequence[str], tags: Sequence[str], after: int) -> int | None:
    """Where the words stand without an entity on them: behind `after`, else the first place; None where nowhere."""
    size = len(wanted)
    starts = [
        start
        for start in range(len(words) - size + 1)
        if list(words[start : start + size]) == list(wanted) and set(tags[start : start + size]) == {"O"}
    ]
    return next((start for start in starts if start >= after), starts[0] if starts else None)
