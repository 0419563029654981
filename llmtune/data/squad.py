"""SQuAD's own json, v1.1 and v2.0: articles of paragraphs of questions, flattened to one row a question."""

from collections.abc import Sequence
from typing import Any

from llmtune.data.rows import Rows
from llmtune.errors import InputError, truncated_repr

LAYOUT = "{'title': …, 'paragraphs': [{'context': …, 'qas': [{'question': …, 'id': …, 'answers': […]}]}]}"


def is_nested(records: Sequence[dict[str, Any]]) -> bool:
    """Whether these records are articles with paragraphs."""
    return bool(records) and "paragraphs" in records[0]


def flatten_articles(source: str, articles: Sequence[dict[str, Any]]) -> Rows:
    """Rows with id, title, context, question, answers and, where the file has it, is_impossible, in file order.

    Raises:
        InputError: a paragraph or question that is not laid out as in SQuAD.
    """
    names = ("id", "title", "context", "question", "answers", "is_impossible")
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for number, article in enumerate(articles, start=1):
        for position, paragraph in enumerate(_list_in(article, "paragraphs", f"{source} article {number}"), start=1):
            where = f"{source} article {number}, paragraph {position}"
            for place, one in enumerate(_list_in(paragraph, "qas", where), start=1):
                if not isinstance(one, dict):
                    raise InputError(f"{where}: found {truncated_repr(one)} as question {place}; write {LAYOUT}")
                columns["id"].append(one.get("id"))
                columns["title"].append(article.get("title"))
                columns["context"].append(paragraph.get("context"))
                columns["question"].append(one.get("question"))
                columns["answers"].append(one.get("answers"))
                columns["is_impossible"].append(one.get("is_impossible"))
    if all(cell is None for cell in columns["is_impossible"]):
        del columns["is_impossible"]
    return Rows(source, columns, unit="question")


def _list_in(parent: Any, name: str, where: str) -> list[Any]:
    found = parent.get(name) if isinstance(parent, dict) else None
    if not isinstance(found, list):
        raise InputError(f"{where}: found {truncated_repr(found)} as its {name!r}, expected a list; write {LAYOUT}")
    return found
