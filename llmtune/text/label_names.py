"""Names of classes: which names of two sets mean the same class, and names that say nothing but a position."""

import math
import re
from collections.abc import Iterable, Sequence

# What transformers calls the classes of a config without id2label; 0 is the first logit.
POSITIONAL_NAME = re.compile(r"LABEL_(\d+)")


def is_positional(names: Sequence[str]) -> bool:
    """Whether these are transformers' default names, LABEL_0, LABEL_1, …"""
    return bool(names) and all(POSITIONAL_NAME.fullmatch(name) for name in names)


def parse_number(label: object) -> float | None:
    """The finite number that a label is, as a number or as text; None of any other.

    >>> parse_number("1.50"), parse_number(-1), parse_number("spam"), parse_number(True)
    (1.5, -1.0, None, None)
    """
    if isinstance(label, bool) or not isinstance(label, (str, int, float)):
        return None
    try:
        number = float(label)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def match_positions(labels: Iterable[str], names: Sequence[str]) -> dict[str, str]:
    """Label → name, for labels that are the number of a class which has no name of its own; 1.0 is 1.

    >>> match_positions(["0", "1", "ham"], ["LABEL_0", "LABEL_1"]), match_positions(["0"], ["ham", "spam"])
    ({'0': 'LABEL_0', '1': 'LABEL_1'}, {})
    """
    positions = {name.removeprefix("LABEL_"): name for name in names} if is_positional(names) else {}
    numbers = {label: _number(label) for label in dict.fromkeys(labels) if label not in names}
    return {label: positions[number] for label, number in numbers.items() if number in positions}


def match_names(wanted: Sequence[str], names: Sequence[str]) -> list[int] | None:
    """Of each wanted class its place among `names`: by name, LABEL_i by its number, or by name up to case and space.

    Returns:
        a permutation; None where the names are not those of the same classes.

    >>> match_names(["neg", "pos"], ["pos", "neg"]), match_names(["0", "1"], ["LABEL_0", "LABEL_1"])
    ([1, 0], [0, 1])
    >>> match_names(["negative", "positive"], ["POSITIVE", "NEGATIVE"]), match_names(["ham", "spam"], ["neg", "pos"])
    ([1, 0], None)
    """
    for fold in (str, _without_prefix, _folded):
        places = {fold(name): place for place, name in enumerate(names)}
        keys = [fold(name) for name in wanted]
        # Each name of one set meets exactly one of the other, or nothing is certain.
        if len(places) == len(names) == len(keys) and set(keys) == places.keys():
            return [places[key] for key in keys]
    return None


def _without_prefix(name: str) -> str:
    positional = POSITIONAL_NAME.fullmatch(name)
    return positional[1] if positional else _number(name)


def _number(label: str) -> str:
    """A csv file with an empty cell somewhere writes 1 as 1.0."""
    return re.sub(r"(\d)\.0+$", r"\1", label.strip())


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())
