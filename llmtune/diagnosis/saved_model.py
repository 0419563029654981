"""Whether what was saved is what was measured: loaded in a fresh process, it answers test rows as the run did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmtune.diagnosis.check import FAIL, PASS, Check, not_applicable
from llmtune.diagnosis.rescored_rows import Distances, distances
from llmtune.errors import truncated_repr
from llmtune.predictions import Predictions
from llmtune.text.shorten import join_names, truncated_line

NAME = "saved_model"
OTHER_MODEL = "The saved model is not the measured one"
REMEDY = (
    "do not use the saved model, its numbers are another's: restore the files of its folder, or train again; if nobody "
    "changed them, report this as a bug of llmtune"
)


@dataclass(frozen=True)
class Rescored:
    """Rows of test as the run predicted them, and as the saved model does.

    Args:
        expected: of the run.
        again: of the saved model; None where it could not be loaded, or was not.
        relative: how far logits, nats and numbers may be apart, relative to their size.
        rows_of_test: how many there are, of which some are scored again.
        settings: by name (in the run, in the saved config) what differs.
        new_weights: that the files lack, so that loading drew them at random.
        refused: why it could not be loaded, in one line.
        unchecked: why it was not, through no fault of the model; empty where it was.
    """

    expected: Predictions
    again: Predictions | None
    relative: float
    rows_of_test: int
    settings: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    new_weights: Sequence[str] = ()
    refused: str = ""
    unchecked: str = ""


def saved_model(rescored: Rescored | None) -> Check:
    """Fails where the saved model refuses to load, is set otherwise, or answers otherwise."""
    if rescored is None:
        return not_applicable(NAME, "no training run saved a model together with these predictions")
    if rescored.unchecked:
        return not_applicable(NAME, rescored.unchecked)
    numbers: dict[str, Any] = {
        "rows": len(rescored.expected),
        "rows_of_test": rescored.rows_of_test,
        "relative_tolerance": rescored.relative,
        "settings": {name: list(map(str, values)) for name, values in rescored.settings.items()},
        "new_weights": list(rescored.new_weights),
    }
    if rescored.again is None:
        finding = f"The saved model can't be used: {rescored.refused}"
        if rescored.settings:
            finding += f"; {_settings_words(rescored.settings)}"
        return Check(NAME, FAIL, finding, numbers, REMEDY)
    apart = distances(rescored.expected, rescored.again, rescored.relative)
    read_otherwise = _rows_read_otherwise(rescored.expected, rescored.again)
    rows = apart.rows
    ids = [str(rescored.expected.column("id")[row]) for row in rows]
    numbers |= {"rows_apart": len(rows), "ids_apart": ids[:100], "decided_otherwise": int(apart.decided.sum())}
    share = f"{len(rescored.expected):,}" + (
        "" if len(rescored.expected) == rescored.rows_of_test else f" of {rescored.rows_of_test:,}"
    )
    if not len(rows) and not rescored.settings and not read_otherwise:
        finding = f"Loaded in a fresh process, it answers {share} test rows as the run did: {apart.largest}"
        return Check(NAME, PASS, finding, numbers)
    causes = _causes(rescored, apart, read_otherwise)
    if not len(rows):
        finding = f"{OTHER_MODEL}: {causes[0]}"
        same = f"it answers {share} test rows as the run did"
        return Check(NAME, FAIL, "; ".join([finding, *causes[1:], same]), numbers, REMEDY)
    count = int(apart.decided.sum())
    decided = f" ({count:,} decided otherwise)" if count else ""
    finding = (
        f"{OTHER_MODEL}: it answers {len(rows):,} of {len(rescored.expected):,} test rows otherwise{decided}, "
        f"{apart.largest}; rows {join_names(ids, 5)}"
    )
    return Check(NAME, FAIL, "; ".join([finding, *causes]), numbers, REMEDY)


def caution(rescored: Rescored | None) -> list[str]:
    """A line where a run's saved model was not checked."""
    return [f"the saved model was not loaded again: {rescored.unchecked}"] if rescored and rescored.unchecked else []


def _rows_read_otherwise(expected: Predictions, again: Predictions) -> int:
    """How many rows have another number of tokens: cut elsewhere, or by another tokenizer."""
    names = [name for name in ("tokens", "length") if name in expected.table.column_names and again.has(name)]
    if not names:
        return 0
    return sum(a != b for a, b in zip(expected.column(names[0]), again.column(names[0]), strict=True))


def _causes(rescored: Rescored, apart: Distances, read_otherwise: int) -> list[str]:
    """What explains it, the most certain first."""
    causes = []
    if rescored.settings:
        causes.append(_settings_words(rescored.settings))
    if rescored.new_weights:
        causes.append(f"its files hold no {join_names(rescored.new_weights)}, drawn at random when it is loaded")
    if read_otherwise:
        causes.append(
            f"{read_otherwise:,} rows have another number of tokens: another tokenizer, or another max_length"
        )
    if apart.permuted:
        causes.append("the probabilities are the same under other labels: the labels are permuted")
    return causes or [
        "settings and numbers of tokens are the same, so the weights or the vocabulary differ: a head or adapter that "
        "was lost, another base, a rounding, another tokenizer, or padding on the other side"
    ]


def _settings_words(settings: Mapping[str, tuple[Any, Any]]) -> str:
    words = [
        f"{name} is {truncated_line(truncated_repr(after), 80)} in its config and was "
        f"{truncated_line(truncated_repr(before), 80)}"
        for name, (before, after) in settings.items()
    ]
    return join_names(words, 3, "settings")
