"""Tag schemes of entities, told apart by looking and converted to IOB2; one tag a word.

IOB1 (Ramshaw and Marcus 1995) writes I-X, and B-X only where an entity follows another of its type; IOB2 writes B-X on
every first word; BIOES (BILOU by other letters) also marks the last word (E, L) and entities of one word (S, U).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from llmtune.errors import InputError, truncated_repr
from llmtune.text.label_names import is_positional

LETTERS = {"IOB2": "BI", "IOB1": "BI", "BIOES": "BIES", "BILOU": "BILU"}
LAST, SINGLE = {"BIOES": "E", "BILOU": "L"}, {"BIOES": "S", "BILOU": "U"}


class Entity(NamedTuple):
    """An entity of a sentence: words `first` up to, not including, `end`."""

    type: str
    first: int
    end: int


def parse_tag(tag: object) -> tuple[str, str] | None:
    """Letter and type, `B-PER` → ("B", "PER"), ("O", "") of O; None of anything else.

    >>> parse_tag("B-creative-work"), parse_tag("O"), parse_tag("PER"), parse_tag("B-")
    (('B', 'creative-work'), ('O', ''), None, None)
    """
    if tag == "O":
        return "O", ""
    if not isinstance(tag, str) or len(tag) < 3 or tag[0] not in "BIESLU" or tag[1] != "-":
        return None
    return tag[0], tag[2:]


def rule(scheme: str) -> str:
    """What a scheme asks for, in words."""
    if scheme == "IOB2":
        return "in IOB2 I-X stands only after B-X or I-X"
    if scheme == "IOB1":
        return "in IOB1 B-X stands only right after another entity of type X"
    last, single = LAST[scheme], SINGLE[scheme]
    return f"in {scheme} B-X … {last}-X frame an entity and {single}-X is one of one word"


def first_violation(tags: Sequence[str], scheme: str) -> int | None:
    """The first word whose tag breaks the scheme; None where none does."""
    allowed = LETTERS[scheme]
    letter, kind = "O", ""
    for word, tag in enumerate(tags):
        before, kind_before = letter, kind
        letter, kind = tag[0], tag[2:]
        if letter == "O":
            fits = True
        elif letter not in allowed:
            fits = False
        elif scheme == "IOB2":
            fits = letter == "B" or (before != "O" and kind_before == kind)
        elif scheme == "IOB1":
            fits = letter == "I" or (before != "O" and kind_before == kind)
        else:
            fits = letter in ("B", SINGLE[scheme]) or (before in "BI" and kind_before == kind)
        if scheme in LAST and before in "BI" and letter not in ("I", LAST[scheme]):
            fits = False  # the entity before was not closed
        if not fits:
            return word
    return len(tags) - 1 if scheme in LAST and letter in "BI" else None


def to_iob2(tags: Sequence[str], scheme: str) -> list[str]:
    """The same entities in IOB2.

    >>> to_iob2(["I-PER", "I-PER", "B-PER", "O", "I-LOC"], "IOB1")
    ['B-PER', 'I-PER', 'B-PER', 'O', 'B-LOC']
    >>> to_iob2(["U-PER", "B-LOC", "I-LOC", "L-LOC"], "BILOU")
    ['B-PER', 'B-LOC', 'I-LOC', 'I-LOC']
    """
    if scheme == "IOB1":
        return repair_iob2(tags)[0]
    return [to_bio_tag(tag) for tag in tags]


def to_bio_tag(tag: str) -> str:
    """One tag with the letters of IOB2: S and U begin an entity, E and L go on with it."""
    letter = {"S": "B", "U": "B", "E": "I", "L": "I"}.get(tag[0], tag[0])
    return letter + tag[1:]


def repair_iob2(tags: Sequence[str]) -> tuple[list[str], int]:
    """IOB2 by one rule: an I-X that does not follow B-X or I-X becomes B-X; and how many there were.

    The entities are those that the lenient mode of seqeval (and conlleval) reads from the tags as they were.

    >>> repair_iob2(["O", "I-PER", "I-PER", "I-LOC"])
    (['O', 'B-PER', 'I-PER', 'B-LOC'], 2)
    """
    repaired, places, before = [], 0, "O"
    for tag in tags:
        if tag[0] == "I" and before[2:] != tag[2:]:
            tag, places = f"B{tag[1:]}", places + 1
        repaired.append(tag)
        before = tag
    return repaired, places


def entity_spans(tags: Sequence[str]) -> list[Entity]:
    """The entities of valid IOB2 tags, in order."""
    found: list[Entity] = []
    first, kind = 0, ""
    for word, tag in enumerate([*tags, "O"]):
        if kind and tag[0] != "I":
            found.append(Entity(kind, first, word))
            kind = ""
        if tag[0] == "B":
            first, kind = word, tag[2:]
    return found


def count_starts(tags: Sequence[str], scheme: str) -> int:
    """Entities of a valid sentence by the scheme's own mark of a beginning; what a conversion must keep."""
    if scheme == "IOB1":
        # A run of one type is one entity, and each B in it begins another.
        runs = sum(
            tag[0] != "O" and (word == 0 or tags[word - 1][0] == "O" or tags[word - 1][2:] != tag[2:])
            for word, tag in enumerate(tags)
        )
        return runs + sum(tag[0] == "B" for tag in tags)
    return sum(tag[0] in "BSU" for tag in tags)


def count_types(sentences: Iterable[Sequence[str]]) -> dict[str, int]:
    """Entities of each type in sentences of IOB2, sorted by type."""
    counts = Counter(tag[2:] for tags in sentences for tag in tags if tag[0] == "B")
    return dict(sorted(counts.items()))


def iob2_tag_names(types: Iterable[str]) -> tuple[str, ...]:
    """O, then B- and I- of each type."""
    return ("O", *(f"{letter}-{kind}" for kind in types for letter in "BI"))


def check_tag_names(names: Sequence[str], where: str) -> tuple[str, ...]:
    """The classes of a trained model as IOB2 tags, in their order.

    Raises:
        InputError: a class is no tag.
    """
    if is_positional(names):
        raise InputError(
            f"{where}: its classes {names[0]} to {names[-1]} are no entity tags; write their names (O, B-X, I-X) into "
            "id2label and label2id of its config.json"
        )
    for name in names:
        if parse_tag(name) is None:
            raise InputError(
                f"{where}: its class {truncated_repr(name)} is no entity tag (O, B-X or I-X; E, S, L, U of BIOES and "
                "BILOU); is it a token classifier for entities?"
            )
    return tuple(to_bio_tag(name) for name in names)
