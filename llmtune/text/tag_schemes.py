"""Tag schemes of entities, detected from the tags and converted to IOB2; one tag a word.

IOB1 (Ramshaw and Marcus 1995) writes I-X, and B-X only where an entity follows another of its type; IOB2 writes B-X on
every first word. IOE1 and IOE2 are their mirror images: E-X on last words. BIOES (BILOU and BMES by other letters)
marks the first and the last word (E, L) and entities of one word (S, U).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from llmtune.errors import InputError, truncated_repr
from llmtune.text.label_names import is_positional

LETTERS = {"IOB2": "BI", "IOB1": "BI", "BIOES": "BIES", "BILOU": "BILU", "BMES": "BMES", "IOE2": "IE", "IOE1": "IE"}
LAST, SINGLE = {"BIOES": "E", "BILOU": "L", "BMES": "E"}, {"BIOES": "S", "BILOU": "U", "BMES": "S"}
MIRRORED = {"IOE2": "IOB2", "IOE1": "IOB1"}
BIOES_LETTERS = {"L": "E", "U": "S", "M": "I"}  # of BILOU and BMES


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
    if not isinstance(tag, str) or len(tag) < 3 or tag[0] not in "BIESLUM" or tag[1] != "-":
        return None
    return tag[0], tag[2:]


def describe_scheme(scheme: str) -> str:
    """What a scheme asks for, in words."""
    if scheme in LAST:
        inner = "M" if scheme == "BMES" else "I"
        return (
            f"in {scheme} B-X, {inner}-X, {LAST[scheme]}-X are the first, inner and last words of an entity and "
            f"{SINGLE[scheme]}-X is an entity of one word"
        )
    return {
        "IOB2": "in IOB2 I-X stands only after B-X or I-X",
        "IOB1": "in IOB1 B-X stands only right after another entity of type X",
        "IOE2": "in IOE2 I-X stands only before I-X or E-X",
        "IOE1": "in IOE1 E-X stands only right before another entity of type X",
    }[scheme]


def candidate_schemes(letters: Iterable[str]) -> tuple[str, ...]:
    """The schemes that tags of these letters may follow, the most usual first.

    >>> candidate_schemes("OBI"), candidate_schemes("OIE"), candidate_schemes("OBES"), candidate_schemes("OEU")
    (('IOB2', 'IOB1'), ('IOE2', 'IOE1'), ('BIOES',), ('BIOES', 'BILOU'))
    """
    used = set(letters) - {"O"}
    if "M" in used:
        return ("BMES",)
    if used & set("ES") and used & set("LU"):
        return ("BIOES", "BILOU")
    if used & set("LU"):
        return ("BILOU",)
    if "E" in used and used <= set("IE"):
        return ("IOE2", "IOE1")
    return ("BIOES",) if used & set("ES") else ("IOB2", "IOB1")


def detect_scheme(sentences: Mapping[int, Sequence[str]]) -> tuple[str, dict[int, int]]:
    """The scheme that most sentences follow, and those that break it: sentence → first word at which it does.

    Args:
        sentences: number → tags that `parse_tag` reads.

    >>> detect_scheme({0: ["B-A", "I-A"], 1: ["O", "B-A"], 7: ["O", "I-A"]})
    ('IOB2', {7: 1})
    """
    broken: dict[str, dict[int, int]] = {}
    for scheme in candidate_schemes({tag[0] for tags in sentences.values() for tag in tags}):
        places = {number: first_violation(tags, scheme) for number, tags in sentences.items()}
        broken[scheme] = {number: word for number, word in places.items() if word is not None}
        if not broken[scheme]:
            return scheme, {}
    nearest = min(broken, key=lambda scheme: len(broken[scheme]))
    return nearest, broken[nearest]


def first_violation(tags: Sequence[str], scheme: str) -> int | None:
    """The first word whose tag breaks the scheme (of a mirrored one the last); None where none does."""
    if scheme in MIRRORED:
        if any(tag[0] not in "OIE" for tag in tags):
            return next(word for word, tag in enumerate(tags) if tag[0] not in "OIE")
        mirrored = [f"B{tag[1:]}" if tag[0] == "E" else tag for tag in reversed(tags)]
        word = first_violation(mirrored, MIRRORED[scheme])
        return None if word is None else len(tags) - 1 - word
    letter, kind = "O", ""
    for word, tag in enumerate(tags):
        before, kind_before = letter, kind
        letter, kind = BIOES_LETTERS.get(tag[0], tag[0]), tag[2:]
        same = before != "O" and kind_before == kind
        if letter == "O":
            fits = True
        elif tag[0] not in LETTERS[scheme]:
            fits = False
        elif scheme == "IOB2":
            fits = letter == "B" or same
        elif scheme == "IOB1":
            fits = letter == "I" or same
        else:
            fits = letter in "BS" or (before in "BI" and same)
        if scheme in LAST and before in "BI" and letter not in "IE":
            fits = False  # the entity before was not closed
        if not fits:
            return word
    return len(tags) - 1 if scheme in LAST and letter in "BI" else None


def to_iob2(tags: Sequence[str]) -> list[str]:
    """The same entities in IOB2, of tags that follow any of the schemes.

    >>> to_iob2(["I-PER", "I-PER", "B-PER", "O", "I-LOC"])
    ['B-PER', 'I-PER', 'B-PER', 'O', 'B-LOC']
    >>> to_iob2(["U-PER", "B-LOC", "I-LOC", "L-LOC"]), to_iob2(["E-PER", "E-PER"])
    (['B-PER', 'B-LOC', 'I-LOC', 'I-LOC'], ['B-PER', 'B-PER'])
    """
    converted = ["O"] * len(tags)
    for kind, first, end in entity_spans(tags):
        converted[first:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - first - 1)
    return converted


def to_bio_tag(tag: str) -> str:
    """One tag with the letters of IOB2: S and U begin an entity, E, L and M go on with it."""
    letter = {"S": "B", "U": "B", "E": "I", "L": "I", "M": "I"}.get(tag[0], tag[0])
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
    """The entities in order, as conlleval and seqeval's lenient mode read them; of valid tags those of their scheme.

    >>> entity_spans(["B-PER", "I-PER", "E-PER", "I-LOC", "O", "S-LOC"])
    [Entity(type='PER', first=0, end=3), Entity(type='LOC', first=3, end=4), Entity(type='LOC', first=5, end=6)]
    """
    entities: list[Entity] = []
    first, kind, closed = 0, "", True
    for word, tag in enumerate([*tags, "O"]):
        letter, here = BIOES_LETTERS.get(tag[0], tag[0]), tag[2:] or "_"  # a bare B has the type _, as in seqeval
        begins = letter in "BS" or closed or here != kind
        if kind and (letter == "O" or begins):
            entities.append(Entity(kind, first, word))
            kind = ""
        if letter != "O" and begins:
            first, kind = word, here
        closed = letter in "OES"
    return entities


def count_types(sentences: Iterable[Sequence[str]]) -> dict[str, int]:
    """Entities of each type, sorted by type."""
    counts = Counter(entity.type for tags in sentences for entity in entity_spans(tags))
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
                f"{where}: its class {truncated_repr(name)} is no entity tag (O, B-X or I-X; E, S, L, U, M of BIOES, "
                "BILOU and BMES); is it a token classifier for entities?"
            )
    return tuple(to_bio_tag(name) for name in names)
