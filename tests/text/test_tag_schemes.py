import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import sequence_labeling
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, IOE2, Entities

from llmtune.data.rows import Rows
from llmtune.data.tagged_rows import detect_tag_scheme
from llmtune.errors import InputError
from llmtune.text.tag_arrays import spans, tags_of_lists
from llmtune.text.tag_schemes import (
    LETTERS,
    check_tag_names,
    count_types,
    entity_spans,
    first_violation,
    repair_iob2,
    to_iob2,
)

PETER_LIVES = {  # Peter Blackburn, Anna live in Rome: PER of two words, PER, then LOC
    "IOB1": ["I-PER", "I-PER", "B-PER", "O", "I-LOC"],
    "IOB2": ["B-PER", "I-PER", "B-PER", "O", "B-LOC"],
    "BIOES": ["B-PER", "E-PER", "S-PER", "O", "S-LOC"],
    "BILOU": ["B-PER", "L-PER", "U-PER", "O", "U-LOC"],
    "BMES": ["B-PER", "E-PER", "S-PER", "O", "S-LOC"],
    "IOE2": ["I-PER", "E-PER", "E-PER", "O", "E-LOC"],
    "IOE1": ["I-PER", "E-PER", "I-PER", "O", "I-LOC"],
}
LONG = {"BMES": ["B-PER", "M-PER", "M-PER", "E-PER"]}  # what tells BMES from BIOES


def recognised(sentences):
    return detect_tag_scheme(Rows("a.jsonl", {"tags": sentences}, unit="line"), sentences, "tags")


@pytest.mark.parametrize("scheme", PETER_LIVES)
def test_a_scheme_is_recognised_and_becomes_iob2_with_every_entity(scheme):
    tags = PETER_LIVES[scheme]

    assert recognised([["O"], tags, LONG.get(scheme, ["O"])]) == scheme
    assert to_iob2(tags) == PETER_LIVES["IOB2"]
    assert count_types([tags]) == {"LOC": 1, "PER": 2}


ENTITIES = st.lists(st.tuples(st.sampled_from(["PER", "LOC"]), st.integers(1, 4), st.integers(0, 2)), max_size=6)


def write(entities, scheme):
    """Tags of entities (type, words, words outside after it), by the definition of each scheme."""
    tags = []
    for number, (kind, words, outside) in enumerate(entities):
        before, after = entities[number - 1 : number], entities[number + 1 : number + 2]
        first = last = "I"
        if scheme in ("IOB2", "BIOES", "BILOU", "BMES"):
            first = "B"
        if scheme == "IOB1" and before and before[0][0] == kind and before[0][2] == 0:
            first = "B"
        if scheme == "IOE2" or (scheme == "IOE1" and after and after[0][0] == kind and outside == 0):
            last = "E"
        inner = "M" if scheme == "BMES" else "I"
        last = {"BIOES": "E", "BMES": "E", "BILOU": "L"}.get(scheme, last)
        single = {"BIOES": "S", "BMES": "S", "BILOU": "U", "IOB1": first, "IOB2": "B"}.get(scheme, last)
        letters = [single] if words == 1 else [first, *[inner] * (words - 2), last]
        tags += [f"{letter}-{kind}" for letter in letters] + ["O"] * outside
    return tags


@given(ENTITIES, st.sampled_from(sorted(LETTERS)))
def test_entities_written_by_any_scheme_are_read_back_converted_and_scored(entities, scheme):
    tags, iob2 = write(entities, scheme), write(entities, "IOB2")

    assert first_violation(tags, scheme) is None
    assert to_iob2(tags) == iob2
    assert [entity.type for entity in entity_spans(tags)] == [kind for kind, _, _ in entities]
    if tags:
        first, last, _ = spans(tags_of_lists([tags]), ("LOC", "PER"), scheme)
        assert [(a, b + 1) for a, b in zip(first, last, strict=True)] == [e[1:] for e in entity_spans(iob2)]


@given(st.lists(st.sampled_from(["O", *(f"{a}-{b}" for a in "BIES" for b in ("A", "B-C"))]), max_size=9))
def test_entities_of_any_tags_are_those_of_seqeval(tags):
    expected = [(kind, first, last + 1) for kind, first, last in sequence_labeling.get_entities(tags)]

    assert [tuple(entity) for entity in entity_spans(tags)] == expected


# Without IOE1, of which seqeval says that it "hasn't yet been able to handle some cases": it misses E-X before E-X.
SEQEVAL = {"IOB1": IOB1, "IOB2": IOB2, "IOE2": IOE2, "BIOES": IOBES, "BILOU": BILOU}


@given(ENTITIES, st.sampled_from(sorted(SEQEVAL)))
def test_entities_of_valid_tags_are_those_of_seqevals_scheme(entities, scheme):
    tags = write(entities, scheme)

    ours = sorted((entity.type, entity.first, entity.end) for entity in entity_spans(tags))
    theirs = sorted((e.tag, e.start, e.end) for row in Entities([tags], SEQEVAL[scheme]).entities for e in row)

    assert ours == theirs


def test_tags_without_entity_pass_as_iob2():
    assert recognised([["O", "O"]]) == "IOB2"


BROKEN = [  # sentences, what the message must hold
    ([["I-A", "E-A"]] * 3 + [["I-A", "O"]], "line 4: I-A at the beginning (word 1) in column 'tags' is not IOE2"),
    ([["B-A", "M-A", "E-A"], ["B-A", "I-A"]], "line 2: I-A after B-A (word 2) in column 'tags' is not BMES"),
    (
        [["B-PER", "I-PER"], ["O", "I-LOC"], ["B-LOC"]],
        "a.jsonl line 2: I-LOC after O (word 2) in column 'tags' is not IOB2, nearest to the whole; write one scheme",
    ),
    ([["I-PER"], ["I-PER"], ["B-LOC"]], "line 3: B-LOC at the beginning (word 1) in column 'tags' is not IOB1"),
    ([["B-PER", "E-PER"], ["B-PER", "O"]], "line 2: O after B-PER (word 2) in column 'tags' is not BIOES"),
    ([["S-PER"], ["B-PER"]], "line 2: B-PER at the beginning (word 1) in column 'tags' is not BIOES"),
    ([["S-PER"], ["S-PER"], ["U-PER"]], "line 3: U-PER at the beginning (word 1) in column 'tags' is not BIOES"),
    ([["U-PER"], ["B-PER", "I-LOC"]], "line 2: I-LOC after B-PER (word 2) in column 'tags' is not BILOU"),
    ([["B-A", "I-A"]] * 20 + [["I-A"]] * 12, "a.jsonl: 12 bad rows, the first 10 are:\n  line 21: I-A at"),
]


@pytest.mark.parametrize(("sentences", "message"), BROKEN)
def test_a_mixed_or_broken_scheme_names_its_first_rows(sentences, message):
    with pytest.raises(InputError) as error:
        recognised(sentences)

    assert message in str(error.value)
    assert "write one scheme throughout, best IOB2" in str(error.value)


def test_repaired_tags_hold_the_entities_that_seqeval_reads_from_broken_ones():
    draw = random.Random(0)
    tags = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    for _ in range(2000):
        raw = [draw.choice(tags) for _ in range(draw.randint(1, 9))]

        repaired, places = repair_iob2(raw)

        expected = [(kind, first, last + 1) for kind, first, last in sequence_labeling.get_entities(raw)]
        assert [tuple(entity) for entity in entity_spans(repaired)] == expected
        assert places == sum(a != b for a, b in zip(raw, repaired, strict=True))
        assert repair_iob2(repaired) == (repaired, 0)


def test_the_classes_of_a_foreign_model_become_iob2_tags_or_are_refused():
    assert check_tag_names(["O", "S-PER", "L-PER"], "model") == ("O", "B-PER", "I-PER")
    with pytest.raises(InputError, match=r"model: its class 'PER' is no entity tag \(O, B-X or I-X"):
        check_tag_names(["O", "PER"], "model")
    with pytest.raises(InputError, match="its classes LABEL_0 to LABEL_1 are no entity tags; .* of its config.json"):
        check_tag_names(["LABEL_0", "LABEL_1"], "model")
