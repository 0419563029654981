"""Against seqeval, in both its modes, and the conlleval script (notes/evaluation.md, section 3)."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval import metrics as se
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, IOE2

from llmtune.errors import InputError
from llmtune.metrics import score_predictions
from llmtune.metrics.entity_f1 import EntityCounts, entity_f_beta, precision, recall
from llmtune.predictions import make_predictions
from llmtune.text.tag_arrays import corpus_scheme, tags_of_lists, types_of

CONLL = Path(__file__).resolve().parents[3] / "shared" / "data" / "conll2000_sample" / "ground_truth.txt"
SCHEMES = {"lenient": None, "IOB2": IOB2, "IOB1": IOB1, "BIOES": IOBES, "IOE2": IOE2, "BILOU": BILOU}
TAGS = {
    "lenient": ["O", "B-A", "I-A", "B-B", "I-B", "E-A", "S-B", "E-B"],
    "IOB2": ["O", "B-A", "I-A", "B-B", "I-B"],
    "IOB1": ["O", "B-A", "I-A", "B-B", "I-B"],
    "IOE2": ["O", "I-A", "E-A", "I-B", "E-B"],
    "BILOU": ["O", "B-A", "I-A", "L-A", "U-A", "B-B", "I-B", "L-B", "U-B"],
    "BIOES": ["O", "B-A", "I-A", "E-A", "S-A", "B-B", "I-B", "E-B", "S-B"],
}


def ours(reference, prediction, scheme):
    columns = {"reference": tags_of_lists(reference), "prediction": tags_of_lists(prediction)}
    types = types_of([*columns["reference"].names, *columns["prediction"].names])
    sums = EntityCounts(types, scheme)(columns).sum(axis=0)[None]
    return types, sums, [float(score(sums)[0]) for score in (precision, recall, entity_f_beta)]


def seqevals(reference, prediction, scheme):
    kwargs = {} if scheme == "lenient" else {"mode": "strict", "scheme": SCHEMES[scheme]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [
            score(reference, prediction, zero_division=0, **kwargs)
            for score in (se.precision_score, se.recall_score, se.f1_score)
        ]


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_entities_are_seqevals_on_any_tags(scheme):
    tag = st.sampled_from(TAGS[scheme])
    sentence = st.lists(st.tuples(tag, tag), min_size=1, max_size=9)

    @settings(max_examples=400, deadline=None)
    @given(st.lists(sentence, min_size=1, max_size=5))
    def check(corpus):
        reference = [[pair[0] for pair in sentence] for sentence in corpus]
        prediction = [[pair[1] for pair in sentence] for sentence in corpus]
        assert ours(reference, prediction, scheme)[2] == pytest.approx(
            seqevals(reference, prediction, scheme), abs=1e-12
        )

    check()


def test_entities_of_ioe1_are_those_of_iob1_read_from_the_end():
    # seqeval's IOE1 misses entities of one word, as its own comment says; its IOB1 on mirrored sentences does not.
    rng = np.random.default_rng(0)
    reference = [rng.choice(TAGS["IOE2"], rng.integers(1, 9)).tolist() for _ in range(500)]
    prediction = [[tag if rng.random() < 0.7 else str(rng.choice(TAGS["IOE2"])) for tag in row] for row in reference]
    mirrored = [[[tag.replace("E-", "B-") for tag in row[::-1]] for row in rows] for rows in (reference, prediction)]

    assert ours(reference, prediction, "IOE1")[2] == pytest.approx(seqevals(*mirrored, "IOB1"), abs=1e-12)


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_entities_are_seqevals_on_a_large_corpus(scheme):
    rng = np.random.default_rng(0)
    reference = [rng.choice(TAGS[scheme], rng.integers(1, 25)).tolist() for _ in range(3000)]
    prediction = [[tag if rng.random() < 0.7 else str(rng.choice(TAGS[scheme])) for tag in row] for row in reference]

    assert ours(reference, prediction, scheme)[2] == pytest.approx(seqevals(reference, prediction, scheme), abs=1e-12)


@pytest.mark.parametrize(
    ("reference", "prediction", "lenient", "strict", "scheme"),
    [
        (["B-NP", "I-NP", "O"], ["I-NP", "I-NP", "O"], 1.0, 0.0, "IOB2"),
        (["B-ORG", "I-ORG"], ["I-ORG", "I-ORG"], 1.0, 0.0, "IOB2"),
        (["B-PER", "E-PER", "S-PER"], ["B-PER", "I-PER", "S-PER"], 1.0, 2 / 3, "BIOES"),
        (["B-PER", "I-ORG"], ["B-PER", "B-ORG"], 1.0, 2 / 3, "IOB2"),
        (["B-PER", "B-PER"], ["B-PER", "I-PER"], 0.0, 0.0, "IOB2"),
        (["O", "O"], ["O", "O"], 0.0, 0.0, "IOB2"),
    ],
)
def test_published_vectors(reference, prediction, lenient, strict, scheme):
    assert ours([reference], [prediction], "lenient")[2][2] == pytest.approx(lenient)
    assert ours([reference], [prediction], scheme)[2][2] == pytest.approx(strict)


def test_seqevals_readme():
    reference = [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
    prediction = [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]

    scores = score_predictions(
        make_predictions("token-classification", {"reference": reference, "prediction": prediction})
    )

    assert scores["entity_f1"].value == 0.5
    assert scores["token_accuracy"].value == pytest.approx(0.8)
    assert scores["entity_f1[PER]"].value == 1.0
    assert scores["entity_f1[MISC]"].value == 0.0


@pytest.mark.skipif(not CONLL.exists(), reason=f"the CoNLL-2000 sample is not at {CONLL}")
def test_conlleval_on_the_conll_2000_sample():
    blocks = [block.splitlines() for block in CONLL.read_text().strip().split("\n\n")]
    reference, prediction = ([[line.split()[column] for line in block] for block in blocks] for column in (-2, -1))

    scores = score_predictions(
        make_predictions("token-classification", {"reference": reference, "prediction": prediction})
    )

    conlleval = {"token_accuracy": 84.08, "entity_precision_lenient": 68.83, "entity_recall_lenient": 80.83}
    strict = {"entity_precision": 70.77, "entity_recall": 70.15, "entity_f1": 70.46}
    for name, percent in (conlleval | {"entity_f1_lenient": 74.35} | strict).items():
        assert 100 * scores[name].value == pytest.approx(percent, abs=5e-3), name
        assert scores[name].low < scores[name].value < scores[name].high


def test_the_scheme_is_read_off_the_reference():
    assert corpus_scheme(tags_of_lists([["B-A", "I-A", "O"], ["B-B"]])) == "IOB2"
    assert corpus_scheme(tags_of_lists([["I-A", "I-A", "B-A", "O", "I-B"]])) == "IOB1"
    assert corpus_scheme(tags_of_lists([["B-A", "E-A", "S-B"]])) == "BIOES"
    assert corpus_scheme(tags_of_lists([["B-A", "L-A", "U-B"]])) == "BILOU"
    assert corpus_scheme(tags_of_lists([["I-A", "E-A", "E-B"]])) == "IOE2"
    assert corpus_scheme(tags_of_lists([["I-A", "E-A", "I-A", "I-B"]])) == "IOE1"
    assert corpus_scheme(tags_of_lists([["B-A", "M-A", "E-A", "S-B"]])) == "BMES"
    assert corpus_scheme(tags_of_lists([["O", "O"]])) == "IOB2"


def test_a_corpus_without_entities_is_undefined_not_perfect():
    scores = score_predictions(
        make_predictions("token-classification", {"reference": [["O"]] * 40, "prediction": [["O"]] * 40})
    )

    assert scores["entity_f1"].value == 0.0  # seqeval
    assert scores["entity_f1"].low is None
    assert "0 entities in the reference, 0 predicted: f1 is 0/0" in scores["entity_f1"].reason
    assert scores["token_accuracy"].value == 1.0


def test_below_thirty_sentences_with_an_entity_there_is_no_interval():
    rows = [["B-A"]] * 29 + [["O"]] * 100

    score = score_predictions(make_predictions("token-classification", {"reference": rows, "prediction": rows}))[
        "entity_f1"
    ]

    assert score.low is None
    assert score.reason == "29 sentences with an entity: an interval needs 30"


def test_tags_that_are_none_are_refused():
    rows = {"reference": [["PER"]], "prediction": [["O"]]}
    with pytest.raises(ValueError, match="tag 'PER' is not O, B-TYPE or I-TYPE .*write tags as IOB2"):
        score_predictions(make_predictions("token-classification", rows))


def test_rows_of_unequal_length_are_refused():
    rows = {"reference": [["O"], ["O", "O"]], "prediction": [["O"], ["O"]]}
    with pytest.raises(ValueError, match="row 1: 2 reference tags but 1 predicted; give one tag a word"):
        score_predictions(make_predictions("token-classification", rows))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"reference": [["O", None]], "prediction": [["O", "O"]]},
            r"a tag of reference is empty \(null\); write O outside entities",
        ),
        ({"reference": [None], "prediction": [["O"]]}, r"row 0: reference is empty \(null\); give a list with one tag"),
        (
            {"reference": ["O O"], "prediction": ["O O"]},
            "row 0: reference 'O O' is no list of tags; give one tag a word, as .*in a csv this very text",
        ),
        ({"reference": [[1, 0]], "prediction": [[1, 0]]}, r"row 0: reference \[1, 0\] is no list of tags"),
        ({"reference": [["O"]], "prediction": [["O"]], "tokens": [["a", "b"]]}, "row 0: 2 tokens but 1 tags"),
        ({"reference": [["O"]], "prediction": [["O"]], "tokens": ["a"]}, "row 0: tokens 'a' but 1 tags"),
    ],
)
def test_columns_that_are_no_lists_of_tags_are_refused(columns, message):
    with pytest.raises(InputError, match=message):
        score_predictions(make_predictions("token-classification", columns))


def test_order_changes_nothing():
    rng = np.random.default_rng(1)
    reference = [rng.choice(TAGS["IOB2"], 6).tolist() for _ in range(50)]
    prediction = [rng.choice(TAGS["IOB2"], 6).tolist() for _ in range(50)]
    order = rng.permutation(50)

    rows = {"reference": reference, "prediction": prediction}
    other = {name: [column[i] for i in order] for name, column in rows.items()}
    first, second = (score_predictions(make_predictions("token-classification", table)) for table in (rows, other))

    assert {name: score.value for name, score in first.items()} == {name: score.value for name, score in second.items()}
