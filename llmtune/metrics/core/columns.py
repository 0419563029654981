"""Reads a predictions table into the columns that metrics take, and says which columns have broken numbers."""

from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any

import numpy as np
import pyarrow as pa

from llmtune.errors import InputError
from llmtune.metrics.core.base import Columns, MetricContext
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import (
    CLASSIFICATION,
    LANGUAGE_MODELING,
    MULTILABEL_CLASSIFICATION,
    QUESTION_ANSWERING,
    REGRESSION,
    TEXT_GENERATION,
    TOKEN_CLASSIFICATION,
    Kind,
    scores_texts,
)
from llmtune.predictions.table import is_list
from llmtune.text.languages import is_latin, language_of_script
from llmtune.text.tag_arrays import Tags, corpus_scheme, types_of
from llmtune.text.words import split_at_spaces

OF_FORECASTS = ("last_value", "lower", "upper")
LONG_TEXT = 100  # words; beyond, a report leaves out metrics whose time grows with the square of the length


def read_columns(predictions: Predictions) -> "ColumnsOfKind":
    """What metrics need to know of the table, its columns, and for each column that is not finite a reason."""
    return READERS[predictions.kind](predictions)


ColumnsOfKind = tuple[MetricContext, Columns, dict[str, str]]


def _classes(predictions: Predictions) -> ColumnsOfKind:
    names = predictions.label_names
    positive = predictions.positive_id if len(names) == 2 else None
    setting = MetricContext(predictions.kind, names, positive, predictions.threshold, predictions.settings)
    columns = {name: predictions.label_ids(name) for name in ("reference", "prediction")}
    if predictions.has("probabilities"):
        columns["probabilities"] = predictions.probabilities()
    return setting, columns, _flaws_of_probabilities(columns)


def _flaws_of_probabilities(columns: Columns) -> dict[str, str]:
    flaws = broken(columns, ("probabilities",))
    if "probabilities" in columns and not flaws:
        shares = columns["probabilities"]
        outside = np.asarray(((shares < 0) | (shares > 1 + 1e-6)).any(axis=1))
        if outside.any():
            flaws["probabilities"] = f"{outside.sum()} of {len(outside)} rows have probabilities outside 0 to 1"
    return flaws


def _sets(predictions: Predictions) -> ColumnsOfKind:
    """`reference`, `prediction`: bool (n, c); `probabilities` (n, c)."""
    options = dict(predictions.settings)
    setting = MetricContext(predictions.kind, predictions.label_names, None, predictions.threshold, options)
    columns = {name: predictions.label_sets(name) for name in ("reference", "prediction")}
    if predictions.has("probabilities"):
        columns["probabilities"] = predictions.probabilities()
    return setting, columns, _flaws_of_probabilities(columns)


def _tags(predictions: Predictions) -> ColumnsOfKind:
    reference, prediction = (_tag_column(predictions, name) for name in ("reference", "prediction"))
    unequal = np.flatnonzero(reference.lengths != prediction.lengths)
    if len(unequal):
        row = int(unequal[0])
        raise InputError(
            f"predictions row {row}: {reference.lengths[row]} reference tags but {prediction.lengths[row]} predicted; "
            "give one tag a word in both"
        )
    if predictions.has("tokens"):
        for row, words in enumerate(predictions.column("tokens")):
            if not isinstance(words, list) or len(words) != reference.lengths[row]:
                found = f"{len(words)} tokens" if isinstance(words, list) else f"tokens {words!r}"
                raise InputError(
                    f"predictions row {row}: {found} but {reference.lengths[row]} tags; give one tag a word, tokens as "
                    "a list of words"
                )
    return (*tag_rows(predictions.kind, reference, prediction, dict(predictions.settings)), {})


def tag_rows(
    kind: str, reference: Tags, prediction: Tags, options: dict[str, Any], names: Sequence[str] = ()
) -> tuple[MetricContext, Columns]:
    """Setting and columns from tags; types and scheme follow from `names`, where these are all tags that can occur."""
    types = types_of([*names, *reference.names, *prediction.names])
    scheme = options.get("scheme") or corpus_scheme(reference)
    setting = MetricContext(kind, types, options=options | {"scheme": scheme})
    return setting, {"reference": reference, "prediction": prediction}


def _tag_column(predictions: Predictions, name: str) -> Tags:
    lists = predictions.table.column(name).combine_chunks()
    if lists.null_count:
        row = int(np.flatnonzero(lists.is_null().to_numpy(zero_copy_only=False))[0])
        raise InputError(f"predictions row {row}: {name} is empty (null); give a list with one tag a word")
    of = lists.type.value_type if is_list(lists.type) else None
    if of is not None and (pa.types.is_dictionary(of) or pa.types.is_string_view(of)):  # categories of polars
        lists, of = lists.cast(pa.list_(pa.string())), pa.string()
    if of is None or not (pa.types.is_string(of) or pa.types.is_large_string(of) or pa.types.is_null(of)):
        raise InputError(
            f"predictions row 0: {name} {lists[0].as_py()!r} is no list of tags; give one tag a word, as "
            '["B-PER", "O"] (in a csv this very text)'
        )
    if lists.flatten().null_count:
        row = next(row for row, tags in enumerate(predictions.column(name)) if None in tags)
        raise InputError(f"predictions row {row}: a tag of {name} is empty (null); write O outside entities")
    encoded = lists.flatten().dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    lengths = lists.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    return Tags(tuple(encoded.dictionary.to_pylist()), codes, lengths)


def _texts(predictions: Predictions) -> ColumnsOfKind:
    references: list[Any] = [
        row if row is None or isinstance(row, list) else [row] for row in predictions.column("reference")
    ]
    answers = predictions.kind.unanswerable
    texts = predictions.column("prediction")
    for row, (text, of_row) in enumerate(zip(texts, references, strict=True)):
        if text is None or of_row is None or None in of_row or not (of_row or answers):
            what = "prediction" if text is None else "reference"
            raise InputError(f"predictions row {row}: {what} is empty (null); give a text, an empty one is ''")
        wrong = next((one for one in (text, *of_row) if not isinstance(one, str)), None)
        if wrong is not None:
            raise InputError(f"predictions row {row}: {wrong!r} is no text; write it as a string")
    return (*text_rows(predictions.kind, references, texts, dict(predictions.settings)), {})


def text_rows(
    kind: str, references: list[list[str]], texts: list[str], options: dict[str, Any]
) -> tuple[MetricContext, Columns]:
    """Setting and columns from texts; a language that was not told is read off the script of the references."""
    counts = {len(of_row) for of_row in references}
    first = [of_row[0] for of_row in references if of_row]
    words = np.mean([len(split_at_spaces(text)) for text in first]) if first else 0.0
    found = {
        "language": options.get("language") or language_of_script(first),
        "nrefs": counts.pop() if len(counts) == 1 else -1,
        "long": bool(words > LONG_TEXT),
        "letters": "latin" if is_latin(first) else "other",
    }
    return MetricContext(kind, options=options | found), {"reference": references, "prediction": texts}


def _likelihoods(predictions: Predictions) -> ColumnsOfKind:
    names = [name for name in ("nll", "tokens", "bytes", "words", "correct") if predictions.has(name)]
    columns = {name: _floats(predictions, name) for name in names}
    for name, values in columns.items():
        if (values < 0).any():
            row = int(np.flatnonzero(values < 0)[0])
            raise InputError(
                f"predictions row {row}: {name} {values[row]:g} is below 0; give sums over the row's tokens, nll "
                "(minus the log-likelihood) in nats"
            )
    return MetricContext(predictions.kind, options=predictions.settings), columns, broken(columns, tuple(names))


def _floats(predictions: Predictions, name: str) -> np.ndarray:
    values = predictions.table.column(name).combine_chunks()
    try:
        return values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        _check_numbers(name, values.to_pylist())
        raise


def _check_numbers(name: str, rows: Sequence[Any], *, lists: bool = False) -> None:
    """Refuses texts, dates and the like; in a row that may be one of `lists`, each of its cells is looked at."""
    for row, cell in enumerate(rows):
        numbers = cell if lists and isinstance(cell, list) else [cell]
        if not all(number is None or isinstance(number, Number) for number in numbers):
            several = ", or lists of them" if lists else ""
            raise InputError(f"predictions row {row}: {name} {cell!r} is no number; give numbers{several}")


def _numbers(predictions: Predictions) -> ColumnsOfKind:
    columns: dict[str, np.ndarray] = {}
    names = [name for name in ("reference", "prediction", *OF_FORECASTS) if predictions.has(name)]
    for name in names:
        rows = predictions.column(name)
        _check_numbers(name, rows, lists=True)
        widths = {len(row) if isinstance(row, list) else 1 for row in rows if row is not None}
        if len(widths) > 1:
            raise InputError(
                f"predictions column {name}: rows have {sorted(widths)} numbers; give one, or lists over one horizon"
            )
        width = widths.pop() if widths else 1
        nothing = [np.nan] * width
        listed = [nothing if row is None else row if isinstance(row, list) else [row] for row in rows]
        columns[name] = np.array(listed, dtype=np.float64).reshape(len(rows), width)
    if columns["reference"].shape != columns["prediction"].shape:
        raise InputError(
            f"predictions: references of shape {columns['reference'].shape} but predictions of shape "
            f"{columns['prediction'].shape}; give both over the same horizon"
        )
    flaws = broken(columns, tuple(names))
    if predictions.has("time") and not predictions.table.column("time").null_count:
        columns["time"] = np.unique(np.array(predictions.column("time")), return_inverse=True)[1]
    options = {**predictions.settings, "of_texts": scores_texts(predictions)}
    setting = number_setting(
        predictions.kind, columns["reference"], options | ({"series": True} if "time" in columns else {})
    )
    return setting, columns, flaws


def number_setting(kind: str, reference: np.ndarray, options: dict[str, Any]) -> MetricContext:
    """With a value near the references' mean, from which R² counts; several steps a row are of a series."""
    finite = reference[np.isfinite(reference)]
    center = float(finite.mean()) if len(finite) else 0.0
    return MetricContext(kind, options={"center": center, "series": reference.shape[1] > 1} | options)


def broken(columns: Columns, names: tuple[str, ...]) -> dict[str, str]:
    """For each of these columns with a NaN or infinity: how many rows, as the reason why a metric can't be given."""
    found = {}
    for name in names:
        if name not in columns:
            continue
        finite = np.isfinite(columns[name])
        rows = int((~finite.reshape(len(finite), -1).all(axis=1)).sum()) if len(finite) else 0
        if rows:
            found[name] = f"{rows} of {len(finite)} rows have no finite {name}"
    return found


READERS: dict[Kind, Callable[[Predictions], ColumnsOfKind]] = {
    CLASSIFICATION: _classes,
    MULTILABEL_CLASSIFICATION: _sets,
    TOKEN_CLASSIFICATION: _tags,
    TEXT_GENERATION: _texts,
    QUESTION_ANSWERING: _texts,
    LANGUAGE_MODELING: _likelihoods,
    REGRESSION: _numbers,
}
