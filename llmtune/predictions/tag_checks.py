"""Whether the predicted tags of a table made elsewhere are of the references' scheme.

Read by another scheme than their own, tags spell hardly an entity: an entity F1 near 0 that says nothing about the
model.
"""

from collections.abc import Iterable, Sequence
from itertools import chain

from llmtune.errors import InputError
from llmtune.text.tag_arrays import spans, tags_of_lists, types_of
from llmtune.text.tag_schemes import (
    BIOES_LETTERS,
    LAST,
    LETTERS,
    describe_scheme,
    detect_scheme,
    first_violation,
    parse_tag,
)

FEWEST_READ = 0.5  # of the predicted entities; a model that breaks its own scheme still spells most of them
REMEDY = (
    "write both columns in one scheme, best IOB2 (B-X on the first word of an entity, I-X on others), or, if these are "
    "the model's own mistakes, name the entity types with --labels"
)
Sentences = Sequence[Sequence[str]]


def check_tag_scheme(reference: Sentences, prediction: Sentences, where: str) -> None:
    """Refuses predicted tags of another scheme: by their letters, or because most entities are lost by reading them.

    Args:
        reference: tags of each row.
        prediction: likewise; tags of no scheme are left to those who read them.
        where: begins the message.

    Raises:
        InputError: with both schemes, and the first row (from 0) that is not in the references'.
    """
    written, predicted = dict.fromkeys(chain(*reference)), dict.fromkeys(chain(*prediction))
    if not all(map(parse_tag, written)):
        return
    scheme = detect_scheme(dict(enumerate(reference)))[0]
    for tag in written:
        if tag[2:] in predicted:
            raise InputError(
                f"{where}: predicted tag {tag[2:]!r} is an entity type without a letter, the references are {scheme}, "
                f"as {tag!r}; {REMEDY}"
            )
    if not all(map(parse_tag, predicted)) or written.keys() <= {"O"}:
        return
    other = detect_scheme(dict(enumerate(prediction)))[0]
    places = ((row, first_violation(tags, scheme)) for row, tags in enumerate(prediction))
    row, word = next(((row, word) for row, word in places if word is not None), (0, None))
    if word is None or other == scheme or {other, scheme} <= LAST.keys():
        return
    if _has_letters(predicted, scheme) and _share_read(prediction, scheme) >= FEWEST_READ:
        return
    raise InputError(
        f"{where} row {row}: predicted tag {prediction[row][word]!r} (word {word + 1}) is not {scheme}, the scheme of "
        f"the references: the predictions are {other}; {describe_scheme(scheme)}, {describe_scheme(other)}; {REMEDY}"
    )


def _has_letters(tags: Iterable[str], scheme: str) -> bool:
    """Whether the scheme has the letters of all tags; BILOU and BMES are BIOES by other letters."""
    known = {BIOES_LETTERS.get(letter, letter) for letter in "O" + LETTERS[scheme]}
    return all(BIOES_LETTERS.get(tag[0], tag[0]) in known for tag in tags)


def _share_read(prediction: Sentences, scheme: str) -> float:
    """The share of the entities, as conlleval reads them, that the scheme reads alike; 1 where there are none."""
    tags = tags_of_lists(prediction)
    types = types_of(tags.names)
    every, read = (set(zip(*spans(tags, types, by), strict=True)) for by in ("lenient", scheme))
    return len(every & read) / len(every) if every else 1.0
