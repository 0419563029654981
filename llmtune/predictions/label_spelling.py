"""Which class a label means that is spelled otherwise: "Spam" and "spam", "1.0" and "1", "true" and "1", "LABEL_1".

Used for suggestions only: a label is never replaced by what it probably means.
"""

import difflib
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence

# What transformers calls class i where a config names none (`PretrainedConfig.id2label`).
UNNAMED_CLASS = re.compile(r"LABEL_(\d+)", re.IGNORECASE)
WHOLE_NUMBER = re.compile(r"\d+(\.0+)?")
# Characters that show nothing and that str.strip leaves: controls, zero-width space and joiners, word joiner, byte
# order mark.
CONTROLS = "".join(character for character in map(chr, range(32)) if not character.isspace())
INVISIBLE = dict.fromkeys(map(ord, CONTROLS + "\x7f\u200b\u200c\u200d\u2060\ufeff"))
BOOLEANS = {"true": "1", "false": "0"}


def fold_label(label: str) -> str:
    """The label up to Unicode form, case, space, the spelling of a number or truth value, and "LABEL_".

    >>> [fold_label(label) for label in (" Spam", "1.0", "True", "LABEL_1", "-1", "B", "1234567")]
    ['spam', '1', '1', '1', '-1', 'b', '1234567']
    """
    folded = " ".join(unicodedata.normalize("NFKC", label).translate(INVISIBLE).casefold().split())
    folded = UNNAMED_CLASS.sub(r"\1", folded) if UNNAMED_CLASS.fullmatch(folded) else folded
    folded = BOOLEANS.get(folded, folded)
    number = label_number(folded)
    return folded if number is None else str(int(number) if number.is_integer() else number)


def label_number(label: str) -> float | None:
    """The finite number that a label spells, else None.

    >>> label_number("1.0"), label_number("nan"), label_number("spam")
    (1.0, None, None)
    """
    try:
        number = float(label)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def other_spelling(label: str, names: Iterable[str]) -> str | None:
    """The name that equals `label` after folding, else None.

    >>> other_spelling("1.0", ["0", "1"]), other_spelling("ham", ["eggs"])
    ('1', None)
    """
    folded = fold_label(label)
    return next((name for name in names if fold_label(name) == folded), None)


def class_of_id(label: str, names: Sequence[str]) -> str | None:
    """The name of the class whose position `label` is ("1", "1.0" or "LABEL_1"), else None.

    >>> class_of_id("LABEL_1", ["ham", "spam"]), class_of_id("2", ["ham", "spam"])
    ('spam', None)
    """
    unnamed = UNNAMED_CLASS.fullmatch(label.strip())
    text = unnamed[1] if unnamed else label.strip()
    if not WHOLE_NUMBER.fullmatch(text) or float(text) >= len(names):
        return None
    return names[int(float(text))]


def closest_label(label: str, names: Sequence[str]) -> str | None:
    """The name that `label` is probably another spelling or a typo of, else None.

    >>> closest_label("spma", ["ham", "spam"]), closest_label("1.0", ["0", "1"])
    ('spam', '1')
    """
    same = other_spelling(label, names)
    if same is not None:
        return same
    folded = {fold_label(name): name for name in names}
    close = difflib.get_close_matches(fold_label(label), folded, n=1)
    return folded[close[0]] if close else None


def sort_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Numbers by value, LABEL_0, LABEL_1 … by their number, all else as text.

    A model gives its probabilities in the order of class ids, so that 10 stands after 9 and not after 1.

    >>> sort_labels(["10", "9", "-1"]), sort_labels(["LABEL_10", "LABEL_9"]), sort_labels(["b", "10", "9"])
    (('-1', '9', '10'), ('LABEL_9', 'LABEL_10'), ('10', '9', 'b'))
    """
    names = set(labels)
    unnamed = {name: UNNAMED_CLASS.fullmatch(name) for name in names}
    values = {name: label_number(match[1] if match else name) for name, match in unnamed.items()}
    mixed = any(unnamed.values()) and not all(unnamed.values())
    if mixed or any(value is None for value in values.values()):
        return tuple(sorted(names))
    return tuple(sorted(names, key=lambda name: (values[name], name)))
