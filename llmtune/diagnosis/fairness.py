"""Whether groups and slices are served alike: recall of each class by group, corrected for every test made.

Fails where a group's recall is significantly and largely (0.1, or below four fifths) under that of all others; and
where one group is chosen far less often than others though its references don't differ. Also shown: demographic parity
difference, equalized odds difference and four-fifths ratio of the positive class, each difference with its interval. Of
texts with a number the mean absolute error is compared.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from llmtune.diagnosis.check import FAIL, NOT_ENOUGH_DATA, PASS, Check, not_applicable, percent
from llmtune.diagnosis.error_gaps import ErrorGap, error_gaps
from llmtune.diagnosis.groups import FOUR_FIFTHS, GroupRates, compare_groups
from llmtune.diagnosis.proportions import OUTCOMES, RowCounts, outcomes
from llmtune.errors import InputError
from llmtune.evidence import ENOUGH, FEWEST, SIGNIFICANT
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import scores_texts
from llmtune.text.shorten import join_names

NAME = "fairness"
MOST_VALUES = 200  # a column with more values names rows, not groups


def fairness(predictions: Predictions, group_columns: Sequence[str] = (), slice_columns: Sequence[str] = ()) -> Check:
    """Compares groups (people) and slices (parts of the data); selection rates are compared for groups alone.

    Raises:
        InputError: a column that the table has not, or that names single rows.
    """
    if not group_columns and not slice_columns:
        return not_applicable(NAME, "no group columns were given (--group_columns)")
    of_numbers = scores_texts(predictions)
    if predictions.kind not in OUTCOMES and not of_numbers:
        return not_applicable(
            NAME, f"{predictions.kind} tables have no classes whose recall could be compared between groups"
        )
    columns = {name: _values(predictions, name) for name in dict.fromkeys((*group_columns, *slice_columns))}
    if of_numbers:
        return _of_errors(error_gaps(predictions, columns))
    seen = outcomes(predictions)
    compared = compare_groups(columns, {f"recall[{label}]": seen.recall[label] for label in seen.labels})
    chosen = _selection(predictions, {name: columns[name] for name in dict.fromkeys(group_columns)})
    numbers: dict[str, Any] = {
        "compared": [one.to_json() for one in compared],
        "selection": [one.to_json() for one, _ in chosen],
        "summary": _summary(predictions, compared, chosen),
    }
    worse = [one.sentence() for one in compared if one.worse]
    worse += [_favors(model) for model, reference in chosen if _makes_a_difference(model, reference)]
    if worse:
        remedy = "add training rows of the worse group or check its labels; until then do not use the model on it"
        return Check(NAME, FAIL, join_names(worse, 3), numbers, remedy)
    if not compared:
        finding = f"no two groups have {ENOUGH} examples of one class"
        return Check(NAME, NOT_ENOUGH_DATA, finding, numbers, "label more test rows of the small groups")
    gap = max(compared, key=lambda one: one.difference()[1])
    difference, low, high = gap.difference()
    least, most = gap.extremes
    finding = (
        f"No significant and large difference between groups; largest: {gap.rate} of {gap.column} {most} over "
        f"{least} by "
        f"{difference:.2f} (95 % interval {low:.2f} to {high:.2f}, corrected p {gap.adjusted:.2g})"
    )
    small = sorted({f"{one.column} {name}" for one in compared for name in one.too_small})
    remedy = f"fewer than {ENOUGH} examples: {join_names(small)}; label more to compare them" if small else ""
    return Check(NAME, PASS, finding, numbers, remedy)


def _of_errors(gaps: Sequence[ErrorGap]) -> Check:
    """Of texts with a number: fails where a group's error is significantly and largely greater than the others'."""
    numbers = {"compared": [asdict(gap) for gap in gaps]}
    if not gaps:
        finding = f"no two groups have {ENOUGH} rows"
        return Check(NAME, NOT_ENOUGH_DATA, finding, numbers, "label more test rows of the small groups")
    worse = sorted((gap for gap in gaps if gap.is_worse), key=lambda gap: -gap.error / gap.elsewhere)
    if worse:
        remedy = "add training rows of the worse group or check its labels; until then do not use the model on it"
        return Check(NAME, FAIL, join_names([gap.sentence() for gap in worse], 3), numbers, remedy)
    largest = max(gaps, key=lambda gap: gap.error - gap.elsewhere)
    finding = f"No significantly and largely greater error in any group; greatest: {largest.sentence()}"
    return Check(NAME, PASS, f"{finding} (corrected p {largest.adjusted:.2g})", numbers)


def _values(predictions: Predictions, name: str) -> list[Any]:
    if not predictions.has(name):
        raise InputError(
            f"--group_columns or --slice_columns {name!r}: the predictions have the columns "
            f"{', '.join(predictions.table.column_names)}; name one of them, and carry it through evaluation"
        )
    values = predictions.column(name)
    distinct = len({str(value) for value in values})
    if distinct > max(MOST_VALUES, FEWEST):
        raise InputError(
            f"--group_columns or --slice_columns {name!r}: {distinct:,} different values are not groups; bin the "
            "column "
            f"into at most {MOST_VALUES}"
        )
    return values


def _selection(predictions: Predictions, columns: dict[str, list[Any]]) -> list[tuple[GroupRates, GroupRates]]:
    """How often each group is predicted positive, beside how often it is; for two classes."""
    if not predictions.kind.single_label or len(predictions.label_names) != 2:
        return []
    one = np.ones(len(predictions), dtype=np.int64)
    positive = predictions.positive_id
    label = predictions.label_names[positive]
    said, true = (
        compare_groups(columns, {name: RowCounts((predictions.label_ids(column) == positive).astype(np.int64), one)})
        for column, name in (("prediction", f"predicted {label}"), ("reference", f"share of {label}"))
    )
    return list(zip(said, true, strict=True))


def _makes_a_difference(model: GroupRates, reference: GroupRates) -> bool:
    """The model favors groups by the four-fifths rule, and the references don't show so much themselves."""
    least, most = model.extremes
    low, high = (reference.groups[name].value for name in (least, most))
    explained = low < high and (low / high < FOUR_FIFTHS or reference.p < SIGNIFICANT)
    return model.adjusted < SIGNIFICANT and model.four_fifths < FOUR_FIFTHS and bool(model.worse) and not explained


def _favors(model: GroupRates) -> str:
    least, most = model.extremes
    rates = [percent(model.groups[name].value) for name in (least, most)]
    return (
        f"{model.rate} is {rates[0]} where {model.column} is {least}, {rates[1]} where it is {most}, although "
        "the references do not differ as much"
    )


def _summary(
    predictions: Predictions, compared: Sequence[GroupRates], chosen: Sequence[tuple[GroupRates, GroupRates]]
) -> dict[str, Any]:
    """Per group column the three customary numbers of the positive class, each difference with its interval."""
    names = predictions.label_names
    found: dict[str, Any] = {}
    for model, _ in chosen:
        difference, low, high = model.difference()
        found[model.column] = {
            "demographic_parity_difference": {"value": difference, "low": low, "high": high},
            "four_fifths_ratio": model.four_fifths,
        }
        # Of two classes, recall of the negative one is 1 - false positive rate: its differences are the same.
        odds = [one for one in compared if one.column == model.column and one.rate in {f"recall[{n}]" for n in names}]
        if odds:
            widest = max(odds, key=lambda one: one.difference()[0])
            difference, low, high = widest.difference()
            found[model.column]["equalized_odds_difference"] = {
                "value": difference,
                "low": low,
                "high": high,
                "of": widest.rate,
            }
    return found
