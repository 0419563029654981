import io
import random

import numpy as np
import pytest
from rich.console import Console
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2

from llmtune.baselines import gazetteer
from llmtune.metrics import score_predictions
from llmtune.metrics.core.entity_errors import MISSED, SPURIOUS, compare_entities, pair_entities
from llmtune.predictions import make_predictions
from llmtune.tasks.token_classification.task import raw_table
from llmtune.terminal.console import Terminal
from llmtune.terminal.entity_tables import show_entities
from llmtune.text.tag_schemes import Entity, count_types, entity_spans, repair_iob2

TYPES = ("LOC", "ORG", "PER")
TAGS = ("O", "O", *(f"{letter}-{kind}" for kind in TYPES for letter in "BI"))


def table_of(references, raws, tokens=None):
    repaired = [repair_iob2(raw) for raw in raws]
    return make_predictions(
        "token-classification",
        {
            "tokens": tokens or [[f"w{i}" for i in range(len(tags))] for tags in references],
            "reference": references,
            "prediction": [tags for tags, _ in repaired],
        },
        carried={"raw_prediction": raws},
        settings={"scheme": "IOB2"},
    )


def corrupted(sentences, seed):
    """References of valid IOB2, and predictions of which a fifth of the tags is random."""
    draw = random.Random(seed)
    references = [repair_iob2(draw.choices(TAGS, k=draw.randint(1, 8)))[0] for _ in range(sentences)]
    raws = [[draw.choice(TAGS) if draw.random() < 0.2 else tag for tag in tags] for tags in references]
    return references, raws


def test_scores_equal_seqeval_and_margins_the_entities_on_corrupted_sequences():
    references, raws = corrupted(20_000, seed=0)
    table = table_of(references, raws)

    raw, repaired = score_predictions(raw_table(table)), score_predictions(table)
    comparison = compare_entities(table)

    assert raw["entity_f1"].value == pytest.approx(f1_score(references, raws, mode="strict", scheme=IOB2), abs=1e-12)
    assert raw["entity_f1_lenient"].value == pytest.approx(f1_score(references, raws), abs=1e-12)
    # The repair makes strict what lenient reads from the raw tags.
    assert repaired["entity_f1"].value == pytest.approx(f1_score(references, raws), abs=1e-12)
    matrix = comparison.matrix
    assert comparison.types == TYPES
    assert dict(zip(TYPES, matrix.sum(axis=1), strict=False)) == count_types(references)
    assert dict(zip(TYPES, matrix.sum(axis=0), strict=False)) == count_types(table.column("prediction"))
    assert matrix[-1, -1] == 0
    hits = np.trace(comparison.exact)
    assert 2 * hits / (matrix[:-1].sum() + matrix[:, :-1].sum()) == pytest.approx(repaired["entity_f1"].value)
    assert sum(error.count for error in comparison.errors) == matrix.sum() - hits
    assert {kind: sum(of.values()) for kind, of in comparison.boundaries.items()} == dict(
        zip(TYPES, comparison.shifted.sum(axis=1), strict=True)
    )


def test_entities_are_paired_by_the_same_words_then_by_most_words_in_common():
    reference = [Entity("PER", 0, 2), Entity("LOC", 3, 6), Entity("ORG", 8, 9)]
    predicted = [Entity("ORG", 0, 2), Entity("LOC", 2, 4), Entity("LOC", 4, 6), Entity("PER", 10, 11)]

    pairs = pair_entities(reference, predicted)

    assert pairs == [
        (reference[0], predicted[0]),
        (reference[1], predicted[2]),
        (reference[2], None),
        (None, predicted[1]),
        (None, predicted[3]),
    ]


def test_errors_are_named_with_their_words_and_sentences():
    tokens = [["Mr", "Smith", "of", "New", "York", "met", "IBM"]] * 2
    reference = ["O", "B-PER", "O", "B-LOC", "I-LOC", "O", "B-ORG"]
    prediction = ["B-PER", "I-PER", "O", "O", "B-LOC", "O", "B-LOC"]

    comparison = compare_entities(table_of([reference] * 2, [prediction] * 2, tokens))

    told = {(e.kind, e.words, e.predicted_words, e.count): e.sentences[0] for e in comparison.errors}
    assert told[("boundary", "Smith", "Mr Smith", 2)] == (0, "{Mr [Smith]} of New York met IBM")
    assert ("boundary", "New York", "York", 2) in told
    assert ("type", "IBM", "IBM", 2) in told
    assert comparison.boundaries["PER"] == {"too short": 0, "too long": 2, "shifted": 0}
    assert comparison.boundaries["LOC"] == {"too short": 2, "too long": 0, "shifted": 0}
    said = comparison.to_json()
    assert said["same_words_other_type"] == 2
    assert said["confusion_matrix"]["rows"][-1] == SPURIOUS
    assert said["confusion_matrix"]["columns"][-1] == MISSED


@pytest.mark.parametrize(("width", "expected"), [(110, "reference ↓  predicted →"), (40, "predicted as")])
def test_the_terminal_shows_a_matrix_or_where_it_is_too_wide_its_largest_cells(width, expected):
    references, raws = corrupted(50, seed=1)
    out = io.StringIO()

    show_entities(Terminal(console=Console(file=out, width=width)), compare_entities(table_of(references, raws)))

    assert expected in out.getvalue()
    assert "boundaries: " in out.getvalue()
    assert " missed; id " in " ".join(out.getvalue().split())


def test_the_baseline_knows_the_phrases_of_one_type_in_train_the_longest_first():
    train = [["New", "York", "Times"], ["New", "York"], ["Paris"], ["Paris"]]
    tags = [["B-ORG", "I-ORG", "I-ORG"], ["B-LOC", "I-LOC"], ["B-LOC"], ["B-PER"]]
    tokens = [["the", "New", "York", "Times", "in", "New", "York", "Paris"]]
    test = table_of([["O"] * 8], [["O"] * 8], tokens)

    found = gazetteer(train, tags, test).column("prediction")[0]

    assert entity_spans(found) == [Entity("ORG", 1, 4), Entity("LOC", 5, 7)]  # Paris is of two types: left out
