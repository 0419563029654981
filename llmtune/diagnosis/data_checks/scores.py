"""Numbers as labels: rows without one, their spread, outliers, shifts of splits, equal texts with other numbers."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import special

from llmtune.data.number_labels import count_measurements, read_number
from llmtune.diagnosis.data_checks.finding import ERROR, OK, WARNING, Finding, Split, of_rows
from llmtune.errors import truncated_repr
from llmtune.evidence import SIGNIFICANT
from llmtune.predictions.kinds import KINDS
from llmtune.text.label_names import parse_decimal_comma
from llmtune.text.normalize import normalize

FAR_OUT = 3.0  # quartile distances beyond the quartiles (Tukey 1977)
SHIFT = 0.5  # standard deviations of train between the means of two splits that matter


def holds_numbers(splits: Sequence[Split], task: str | None) -> bool:
    """Whether the label column is of numbers: the task says so, or without one the cells are measurements.

    Texts that are all numbers, some with a decimal comma, are no names of classes, however few they are.
    """
    if task is not None:
        return task in KINDS and bool(KINDS[task].number_columns) and KINDS[task].answer_column is not None
    cells = next((split.columns["label"] for split in splits if "label" in split.columns), [])
    every = [cell for split in splits for cell in split.columns.get("label", [])]
    return count_measurements(cells) is not None or are_numbers_with_commas(every)


def are_numbers_with_commas(cells: Sequence[Any]) -> bool:
    """Whether every cell is a number and at least one has a decimal comma; empty cells are none.

    >>> are_numbers_with_commas(["3,5", "4", ""]), are_numbers_with_commas(["3.5", "4"])
    (True, False)
    """
    filled = [cell for cell in cells if cell is not None and cell != ""]
    return all(read_number(cell) is not None for cell in filled) and any(
        parse_decimal_comma(cell) is not None for cell in filled
    )


def numbers_of(split: Split) -> np.ndarray:
    """The number of each row, NaN where it has none; a decimal comma is read as what it is meant as."""
    return np.array([math.nan if (n := read_number(cell)) is None else n for cell in split.columns["label"]])


def about_numbers(splits: Sequence[Split]) -> list[Finding]:
    """All that the numbers of the splits tell."""
    numbers = {split.name: numbers_of(split) for split in splits}
    findings = [finding for split in splits for finding in missing_numbers(split, numbers[split.name])]
    findings += [finding for split in splits for finding in decimal_commas(split)]
    findings.append(number_ranges(numbers))
    for split in splits:
        findings += [*outliers(split, numbers[split.name]), *conflicts(split, numbers[split.name])]
    return findings + shifted_means(numbers)


def missing_numbers(split: Split, numbers: np.ndarray) -> list[Finding]:
    """Rows whose label is no finite number."""
    rows = np.flatnonzero(np.isnan(numbers))
    if not len(rows):
        return []
    places = [f"{split.place(row)}: {truncated_repr(split.columns['label'][row])}" for row in rows.tolist()]
    remedy = "write the number as 4.5 (a point, no unit), or delete the rows"
    return [Finding("numbers", ERROR, f"no number in {of_rows(len(rows), split)}", places, remedy)]


def decimal_commas(split: Split) -> list[Finding]:
    """Rows whose number has a decimal comma, which no program of ours or of others reads as a number."""
    cells = split.columns["label"]
    rows = [row for row, cell in enumerate(cells) if parse_decimal_comma(cell) is not None]
    if not rows:
        return []
    first = str(cells[rows[0]]).strip()
    remedy = (
        f"write the comma as a point, {parse_decimal_comma(first):g} for {first}, and thousands without a separator; "
        "if these are several labels a text, --label_separator ',' reads them"
    )
    places = [f"{split.place(row)}: {truncated_repr(cells[row])}" for row in rows]
    return [Finding("numbers", ERROR, f"a decimal comma in {of_rows(len(rows), split)}", places, remedy)]


def number_ranges(numbers: dict[str, np.ndarray]) -> Finding:
    """Least, greatest, mean and standard deviation of each split."""
    lines, severity, remedy = [], OK, ""
    for name, column in numbers.items():
        known = column[~np.isnan(column)]
        if not len(known):
            lines.append(f"{name}: no numbers")
            continue
        lines.append(
            f"{name}: {known.min():g} to {known.max():g}, mean {known.mean():.4g}, standard deviation {known.std():.4g}"
        )
        if known.min() == known.max():
            severity = ERROR if name == "train" else severity
            lines[-1] += "; one number alone"
            remedy = f"add {name} rows with other numbers, or name another column with --label_column"
    return Finding("numbers", severity, "\n".join(lines), (), remedy)


def outliers(split: Split, numbers: np.ndarray) -> list[Finding]:
    """Numbers far outside the middle half of their split."""
    known = numbers[~np.isnan(numbers)]
    if len(known) < 4:
        return []
    low, high = np.quantile(known, (0.25, 0.75))
    reach = FAR_OUT * (high - low)
    is_outlier = (numbers < low - reach) | (numbers > high + reach)
    rows = np.flatnonzero(is_outlier & (reach > 0)).tolist()
    if not len(rows):
        return []
    order = sorted(rows, key=lambda row: -abs(numbers[row] - np.median(known)))
    places = [f"{split.place(row)}: {numbers[row]:g}" for row in order]
    sentence = f"outliers, beyond {low - reach:.4g} to {high + reach:.4g}: {of_rows(len(rows), split)}"
    remedy = "correct them if they are slips; if they are real, --loss huber lets them pull less"
    return [Finding("outliers", WARNING, sentence, places, remedy)]


def conflicts(split: Split, numbers: np.ndarray) -> list[Finding]:
    """Equal texts that stand with different numbers: their distance bounds every error from below."""
    groups: dict[str, list[int]] = {}
    for row, text in enumerate(split.texts):
        if isinstance(text, str) and text and not math.isnan(numbers[row]):
            groups.setdefault(normalize(text), []).append(row)
    differing = [rows for rows in groups.values() if len(set(numbers[rows].tolist())) > 1]
    if not differing:
        return []
    differing.sort(key=lambda rows: -float(np.ptp(numbers[rows])))
    places = [
        " and ".join(f"{split.rows.place(row)} {numbers[row]:g}" for row in rows[:3])
        + f": {truncated_repr(split.texts[rows[0]])}"
        for rows in differing
    ]
    count, most = sum(map(len, differing)), float(np.ptp(numbers[differing[0]]))
    sentence = f"equal texts, different numbers: {of_rows(count, split)}, up to {most:g} apart"
    return [Finding("conflicting numbers", WARNING, sentence, places, "decide for one number of each text")]


def shifted_means(numbers: dict[str, np.ndarray]) -> list[Finding]:
    """Splits whose mean is significantly and by much another than that of train (Welch's test)."""
    known: dict[str, Any] = {name: column[~np.isnan(column)] for name, column in numbers.items()}
    train = known.pop("train", np.array([]))
    findings = []
    for name, here in known.items():
        if min(len(here), len(train)) < 2 or train.std() == 0:
            continue
        difference = float(here.mean() - train.mean())
        error = math.sqrt(here.var(ddof=1) / len(here) + train.var(ddof=1) / len(train))
        p = 2 * float(special.ndtr(-abs(difference) / error)) if error else float(difference == 0)
        if abs(difference) >= SHIFT * train.std() and p < SIGNIFICANT:
            sentence = f"the mean of {name} is {here.mean():.4g}, that of train {train.mean():.4g}"
            findings.append(Finding("numbers", WARNING, sentence, (), "draw both from the same rows, as in use"))
    return findings
