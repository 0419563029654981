"""Names of classes: which names of two sets mean the same class, and names that say nothing but a position."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

# What transformers calls the classes of a config without id2label; 0 is the first logit.
POSITIONAL_NAME = re.compile(r"LABEL_(\d+)")
DECIMAL_COMMA = re.compile(r"\s*[-+]?(\d+|\d{1,3}(\.\d{3})+),\d+\s*", re.ASCII)

# Of two classes: what people look for, and what they call the rest. Folded as `_spoken` folds.
# fmt: off
SOUGHT = frozenset({
    "spam", "junk", "positive", "pos", "yes", "y", "true", "t", "toxic", "hate", "hateful", "offensive", "abusive",
    "abuse", "fraud", "fraudulent", "scam", "phishing", "malicious", "malware", "attack", "anomaly", "abnormal",
    "defect", "defective", "sick", "disease", "churn", "sarcastic", "sarcasm", "ironic", "irony", "insult",
    "threat", "urgent", "relevant", "fake", "duplicate", "paraphrase", "hate speech",
})
REST = frozenset({
    "ham", "legit", "legitimate", "negative", "neg", "no", "n", "false", "f", "clean", "normal", "benign", "ok",
    "okay", "fine", "good", "safe", "real", "genuine", "neutral", "none", "other", "rest", "irrelevant", "healthy",
    "inbox",
})
# fmt: on


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
    except (ValueError, OverflowError):  # a whole number of more than 308 digits
        return None
    return number if math.isfinite(number) else None


def parse_decimal_comma(label: object) -> float | None:
    """The number that a text with a decimal comma is, as German and Portuguese write it; None of any other.

    >>> parse_decimal_comma("3,5"), parse_decimal_comma("-1.234,50"), parse_decimal_comma("3.5")
    (3.5, -1234.5, None)
    >>> parse_decimal_comma("1,2,3"), parse_decimal_comma("a,5")
    (None, None)
    """
    if not isinstance(label, str) or not DECIMAL_COMMA.fullmatch(label):
        return None
    return float(label.replace(".", "").replace(",", "."))


def default_positive(names: Sequence[str], counts: Mapping[str, int]) -> str:
    """Of two classes the one that people mean by F1: by the words of `SOUGHT` and `REST`, else the rarer.

    Args:
        names: of the classes, in their order.
        counts: rows of each; where they are equal or unknown, the last name is taken. Of two numbers too: 1 of 0 and 1.

    >>> default_positive(["junk", "legit"], {}), default_positive(["0", "1"], {"0": 2, "1": 9})
    ('junk', '1')
    >>> default_positive(["refund", "order"], {"refund": 2, "order": 9}), default_positive(["toxic", "non-toxic"], {})
    ('refund', 'toxic')
    """
    if len(names) != 2 or all(parse_number(name) is not None for name in names):
        return names[-1]
    first, last = (_spoken(name) for name in names)
    for words, chosen in ((SOUGHT, names), (REST, names[::-1])):
        if (first in words) != (last in words):
            return chosen[0] if first in words else chosen[1]
    for word, other, name in ((first, last, names[1]), (last, first, names[0])):
        if word.startswith(("not ", "non ", "no ")) and not other.startswith(("not ", "non ", "no ")):
            return name
    return names[0] if counts.get(names[0], 0) < counts.get(names[1], 0) else names[1]


def _spoken(name: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", name.casefold()).split())


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
