import random

import pytest
from seqeval.metrics import sequence_labeling

from llmtune.data.rows import Rows
from llmtune.errors import InputError
from llmtune.tasks.token_classification.rows import detect_tag_scheme
from llmtune.text.tag_schemes import check_tag_names, count_starts, entity_spans, repair_iob2, to_iob2

PETER_LIVES = {  # Peter Blackburn, Anna live in Rome: PER of two words, PER, then LOC
    "IOB1": ["I-PER", "I-PER", "B-PER", "O", "I-LOC"],
    "IOB2": ["B-PER", "I-PER", "B-PER", "O", "B-LOC"],
    "BIOES": ["B-PER", "E-PER", "S-PER", "O", "S-LOC"],
    "BILOU": ["B-PER", "L-PER", "U-PER", "O", "U-LOC"],
}


def recognised(sentences):
    return detect_tag_scheme(Rows("a.jsonl", {"tags": sentences}, unit="line"), sentences, "tags")


@pytest.mark.parametrize("scheme", PETER_LIVES)
def test_a_scheme_is_recognised_and_becomes_iob2_with_every_entity(scheme):
    tags = PETER_LIVES[scheme]

    assert recognised([["O"], tags]) == scheme
    assert to_iob2(tags, scheme) == PETER_LIVES["IOB2"]
    assert count_starts(tags, scheme) == 3


def test_tags_without_entity_pass_as_iob2():
    assert recognised([["O", "O"]]) == "IOB2"


BROKEN = [  # sentences, what the message must hold
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
