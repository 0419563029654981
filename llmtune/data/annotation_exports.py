"""What annotation tools export, as rows with `text` and `spans` (or `label`): doccano, Label Studio, spaCy.

Layouts as of doccano 1.8, Label Studio 1.20 (JSON and JSON-MIN) and spaCy's training tuples; Prodigy's own rows have
`spans` already. Ends of spans are not included in any of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from llmtune.data.rows import RowErrors, Rows
from llmtune.errors import truncated_repr

SPAN_COLUMNS = ("spans", "label", "labels", "entities")  # where tools write them; the first that has spans is read


def pair_as_row(record: Any) -> Any:
    """A training tuple of spaCy, `[text, {"entities": [[0, 3, "PER"]]}]`, as an object; others as they are."""
    if isinstance(record, list) and len(record) == 2 and isinstance(record[0], str) and isinstance(record[1], dict):
        return {"text": record[0], **record[1]}
    return record


def read_export(rows: Rows) -> Rows:
    """The rows of an export as the tasks read them; of any other file as they are.

    Raises:
        InputError: a task of Label Studio that several people annotated.
    """
    columns = rows.columns
    if "annotations" in columns and "data" in columns and all(isinstance(cell, dict) for cell in columns["data"]):
        return _from_label_studio(rows)
    for name in SPAN_COLUMNS:
        cells = columns.get(name)
        if isinstance(cells, list) and (spans := _spans_of(cells)) is not None:
            return replace(rows, columns={**columns, "spans": spans})
    labels = columns.get("label")
    if isinstance(labels, list) and labels and all(_is_single(cell) for cell in labels):
        return replace(rows, columns={**columns, "label": [cell[0] for cell in labels]})
    return rows


def _is_single(cell: Any) -> bool:
    """Whether this is a list of one label: doccano's classification."""
    return isinstance(cell, list) and len(cell) == 1 and isinstance(cell[0], str)


def _spans_of(cells: Sequence[Any]) -> list[Any] | None:
    """Lists of spans with the keys start, end and label; None where the cells are other things, or have these keys."""
    lists = [cell for cell in cells if cell is not None]
    items = [item for cell in lists if isinstance(cell, list) for item in cell]
    if not items or not all(isinstance(cell, list) for cell in lists):
        return None
    spans = [_span(item) for item in items]
    if None in spans:
        return None
    return [None if cell is None else [_span(item) for item in cell] for cell in cells]


def _span(item: Any) -> dict[str, Any] | None:
    if isinstance(item, list) and len(item) == 3 and isinstance(item[0], int) and isinstance(item[2], str):
        return {"start": item[0], "end": item[1], "label": item[2]}
    if not isinstance(item, dict):
        return None
    if {"start_offset", "end_offset", "label"} <= item.keys():
        return {"start": item["start_offset"], "end": item["end_offset"], "label": item["label"]}
    labels = item.get("labels")
    if {"start", "end"} <= item.keys() and isinstance(labels, list) and len(labels) == 1:
        return {"start": item["start"], "end": item["end"], "label": labels[0], **_text(item)}
    return None


def _text(item: Mapping[str, Any]) -> dict[str, Any]:
    """The text that a span says it has, which is compared with what stands there."""
    return {"text": item["text"]} if "text" in item else {}


def _from_label_studio(rows: Rows) -> Rows:
    """The fields of `data`, beside them `spans` where words were marked and `label` where a choice was made."""
    problems = RowErrors(rows.source)
    fields = dict.fromkeys(name for cell in rows.columns["data"] for name in cell)
    columns: dict[str, list[Any]] = {name: [cell.get(name) for cell in rows.columns["data"]] for name in fields}
    results: list[list[Any] | None] = []
    for row, annotations in enumerate(rows.columns["annotations"]):
        unfit = _unfit_part(annotations)
        if unfit is not None:
            finding = f"its annotations hold {truncated_repr(unfit)}, expected a list of {{result: [{{value: {{…}}}}]}}"
            problems.add(row, rows.place(row), finding, remedy="export the tasks again as JSON")
            results.append(None)
            continue
        valid = [one for one in annotations or [] if isinstance(one, dict) and not one.get("was_cancelled")]
        if len(valid) > 1:
            finding = f"{len(valid)} annotations of one task, expected one"
            problems.add(row, rows.place(row), finding, remedy="export the one that counts, and delete the others")
        results.append(valid[0].get("result") or [] if valid else None)
    problems.stop()
    values = [None if result is None else [one.get("value", {}) for one in result] for result in results]
    if any("labels" in value for row in values if row for value in row):
        columns["spans"] = [
            None if row is None else [_span(value) for value in row if "labels" in value] for row in values
        ]
    if any("choices" in value for row in values if row for value in row):
        columns["label"] = [_choice(row) for row in values]
    if "id" in rows.columns and "id" not in columns:
        columns["id"] = list(rows.columns["id"])
    return Rows(rows.source, columns, unit=rows.unit)


def _unfit_part(annotations: Any) -> Any:
    """Of the annotations of a task what is not laid out as Label Studio does; None where all of it is."""
    if annotations is not None and not isinstance(annotations, list):
        return annotations
    for annotation in annotations or []:
        if not isinstance(annotation, dict):
            continue  # as one that was cancelled
        results = annotation.get("result") or []
        if not isinstance(results, list):
            return results
        for result in results:
            value = result.get("value", {}) if isinstance(result, dict) else None
            if not isinstance(value, dict) or not isinstance(value.get("choices", []), list):
                return result
    return None


def _choice(values: Sequence[Mapping[str, Any]] | None) -> Any:
    """The choice of a task, a list of several; None where none was made."""
    choices = [choice for value in values or [] for choice in value.get("choices", [])]
    return choices[0] if len(choices) == 1 else choices or None
