"""The paired comparison against hand calculations and the formulas of the textbooks."""

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from llmtune.comparison.differences import compare_predictions
from llmtune.errors import InputError
from llmtune.predictions import make_predictions
from llmtune.terminal.comparison_lines import finding


def classifier(reference, prediction, *, probability=None, names=("ham", "spam"), **more):
    columns = {"reference": reference, "prediction": prediction}
    if probability is not None:
        columns["probabilities"] = np.stack([1 - np.asarray(probability), probability], axis=1)
    return make_predictions("classification", columns, label_names=names, **more)


def pair_of(both, only_a, only_b, neither):
    """Two classifiers of as many rows as these, every second one spam."""
    n = both + only_a + only_b + neither
    reference = ["ham", "spam"] * (n // 2) + ["ham"] * (n % 2)
    right_a = [True] * (both + only_a) + [False] * (only_b + neither)
    right_b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    other = {"ham": "spam", "spam": "ham"}
    a, b = (
        classifier(reference, [said if right else other[said] for said, right in zip(reference, rights, strict=True)])
        for rights in (right_a, right_b)
    )
    return a, b


def of(found, metric):
    return next(one for one in found.differences if one.metric == metric)


def test_mcnemar_of_10_and_25_is_the_textbooks():
    # 2 * sum(C(35, k), k=0..10) / 2**35
    by_hand = 2 * sum(math.comb(35, k) for k in range(11)) / 2**35

    found = compare_predictions(*pair_of(150, 10, 25, 15))

    assert (found.mcnemar.only_a, found.mcnemar.only_b) == (10, 25)
    assert found.mcnemar.p == pytest.approx(by_hand, rel=1e-12)
    assert found.mcnemar.p == pytest.approx(0.01667, abs=5e-6)
    assert (len(found.wins), len(found.losses)) == (25, 10)
    assert found.losses == tuple(range(150, 160))
    assert found.wins == tuple(range(160, 185))


def test_the_difference_of_accuracies_and_its_interval_are_the_formulas():
    found = of(compare_predictions(*pair_of(1500, 100, 250, 150)), "accuracy")

    # (c - b) / n, standard error sqrt(b + c - (c - b)²/n) / n (Fleiss)
    error = math.sqrt(350 - 150**2 / 2000) / 2000
    assert found.difference == pytest.approx(150 / 2000)
    assert found.low == pytest.approx(0.075 - 1.96 * error, abs=0.001)
    assert found.high == pytest.approx(0.075 + 1.96 * error, abs=0.001)
    assert found.min_detectable == pytest.approx((1.959964 + 0.841621) * math.sqrt(350 / 2000 / 2000), rel=1e-5)


def test_f1_is_compared_by_hand_counts():
    # of 60 spam A finds 30 and B finds all; no alarms: F1 60 / 90 against 1
    reference = ["spam"] * 60 + ["ham"] * 140
    a = classifier(reference, ["spam"] * 30 + ["ham"] * 170)
    b = classifier(reference, reference)

    found = compare_predictions(a, b)

    assert found.main.metric == "f1"
    assert (found.main.a, found.main.b) == (pytest.approx(2 / 3), 1.0)
    assert found.main.low > 0
    assert found.main.significantly_better
    assert not found.significantly_worse
    assert compare_predictions(b, a).significantly_worse


def test_below_the_evidence_floor_mcnemar_decides():
    reference = ["spam"] * 20 + ["ham"] * 80  # 20 spam: no interval of F1
    a, b = classifier(reference, reference), classifier(reference, ["spam"] * 10 + ["ham"] * 90)

    found = compare_predictions(a, b)

    assert found.main.low is None
    assert found.main.reason == "20 rows of 'spam': an interval needs 30"
    assert found.mcnemar.p == pytest.approx(2 / 2**10)
    assert found.significantly_worse
    assert not compare_predictions(b, a).significantly_worse


def test_the_same_predictions_differ_in_nothing_and_tell_no_spread():
    a, _ = pair_of(100, 20, 20, 60)

    found = compare_predictions(a, a)

    assert found.mcnemar.p == 1.0
    assert (found.wins, found.losses) == ((), ())
    assert all(one.difference == 0 and one.low is None and one.min_detectable is None for one in found.differences)
    assert not found.significantly_worse


@pytest.mark.parametrize("metric", [None, "log_loss"])
def test_the_same_answers_are_said_to_be_the_same_unless_the_metric_reads_the_probabilities(metric):
    reference = ["ham", "spam"] * 50
    a, b = (
        classifier(reference, reference, probability=np.where(np.arange(100) % 2, high, 1 - high))
        for high in (0.9, 0.7)
    )

    found = compare_predictions(a, b, metric=metric)

    assert found.identical
    same = "A and B give the same answer on every one of the 100 rows"
    assert (finding(found) == same) == (metric is None)
    assert finding(compare_predictions(a, a, metric="log_loss")) == same


def test_few_rows_are_inconclusive():
    said = finding(compare_predictions(*pair_of(10, 1, 2, 0)))

    assert said == "Inconclusive: too few rows to tell whether B is better or worse than A on f1 of spam"


def test_lower_is_better_turns_the_verdict():
    reference = ["spam", "ham"] * 100
    truth = np.array([0.9, 0.1] * 100)
    rng = np.random.default_rng(0)
    sharp = np.clip(truth + rng.normal(0, 0.03, 200), 0.01, 0.99)
    blunt = 0.5 + (sharp - 0.5) * 0.2
    a, b = (classifier(reference, reference, probability=p) for p in (sharp, blunt))

    found = compare_predictions(a, b, metric="log_loss")

    assert found.main.metric == "log_loss"
    assert found.main.b > found.main.a
    assert found.significantly_worse
    # the mean of the rows' differences: Student's interval
    losses = [-np.log(np.where(np.array(reference) == "spam", p, 1 - p)) for p in (sharp, blunt)]
    gap = losses[1] - losses[0]
    assert found.main.difference == pytest.approx(gap.mean())
    assert found.main.low == pytest.approx(gap.mean() - 1.97 * gap.std() / math.sqrt(200), rel=0.05)


def test_ranks_are_compared_by_rows_drawn_again():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 400)
    reference = np.where(truth, "spam", "ham").tolist()
    good, bad = (1 / (1 + np.exp(-(truth * gap + rng.normal(0, 1, 400)))) for gap in (3.0, 1.0))

    found = compare_predictions(
        classifier(reference, reference, probability=good),
        classifier(reference, reference, probability=bad),
        metric="roc_auc",
    )

    assert found.main.high < 0
    assert found.main.low < found.main.difference < found.main.high
    assert found.significantly_worse


def test_b_with_nan_outputs_is_surely_worse_where_the_metric_needs_them():
    reference = ["spam", "ham"] * 50
    a = classifier(reference, reference, probability=np.full(100, 0.4))
    b = classifier(reference, reference, probability=np.array([0.4] * 99 + [np.nan]))

    found = compare_predictions(a, b, metric="log_loss")

    assert found.main.b is None
    assert found.main.a == pytest.approx(-(np.log(0.4) + np.log(0.6)) / 2)
    assert "1 of 200 rows" in found.main.reason
    assert found.significantly_worse


def test_labels_in_another_order_are_the_same_labels():
    reference = ["spam", "ham"] * 50
    p = np.linspace(0.01, 0.99, 100)
    a = classifier(reference, reference, probability=p, positive_label="spam")
    turned = classifier(reference, reference, probability=1 - p, names=("spam", "ham"), positive_label="spam")

    found = compare_predictions(a, turned, metric="log_loss")

    assert found.main.difference == pytest.approx(0)


def test_entities_are_compared_by_sentences_though_b_invents_a_type():
    reference = [["B-PER", "I-PER", "O"], ["B-LOC", "O", "O"]] * 40
    half = [["B-PER", "I-PER", "O"], ["O", "O", "B-ORG"]] * 40
    a, b = (
        make_predictions("token-classification", {"reference": reference, "prediction": p}) for p in (reference, half)
    )

    found = compare_predictions(a, b)

    # B: 40 right of 80, 80 predicted
    assert (found.main.metric, found.main.a, found.main.b) == ("entity_f1", 1.0, pytest.approx(0.5))
    assert found.significantly_worse
    assert found.mcnemar is None
    assert len(found.losses) == 40
    assert all(row % 2 == 1 for row in found.losses)
    assert of(found, "entity_recall").difference == pytest.approx(-0.5)


def test_regression_is_compared_by_rows_and_wins_are_the_clearest_first():
    reference = np.arange(50.0)
    a = make_predictions("regression", {"reference": reference, "prediction": reference + 2})
    b = make_predictions("regression", {"reference": reference, "prediction": reference + np.linspace(0, 3, 50)})

    found = compare_predictions(a, b, metric="mae")

    gap = np.linspace(0, 3, 50) - 2
    assert found.main.difference == pytest.approx(gap.mean())
    assert found.main.significantly_better
    assert found.wins == tuple(int(row) for row in np.argsort(gap, kind="stable") if gap[row] < 0)
    assert found.losses[0] == 49


def test_perplexities_of_different_tokenizers_are_not_compared():
    n = 60
    nll = np.linspace(10, 60, n)
    a = make_predictions("language-modeling", {"nll": nll, "tokens": [20] * n, "bytes": [80] * n})
    b = make_predictions("language-modeling", {"nll": nll + 1, "tokens": [25] * n, "bytes": [80] * n})

    found = compare_predictions(a, b)

    assert "perplexity" not in [one.metric for one in found.differences]
    assert found.main.metric == "bits_per_byte"
    assert found.main.difference == pytest.approx(n / (80 * n) / math.log(2))
    assert found.notes == (
        "A and B cut these texts into different tokens: perplexity and token accuracy are not comparable",
    )


REFERENCE = ["ham", "spam", "ham"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "validation"}, "A is of split 'test', B of split 'validation'; give tables of one split"),
        (
            {"reference": ["ham", "spam"], "prediction": ["ham", "spam"], "carried": {}},
            "A has 3 rows, B has 2; give predictions of the same",
        ),
        ({"reference": ["ham", "ham", "ham"]}, "row 1: reference is 'spam' in A but 'ham' in B; give predictions of"),
        (
            {"carried": {"text": ["a", "b", "x"]}},
            "row 2: text is 'c' in A but 'x' in B; give predictions of the same rows, in the same order",
        ),
        (
            {"names": ("ham", "spam", "eggs")},
            "A has the labels ham, spam, B has ham, spam, eggs; compare models of the same",
        ),
        ({"positive_label": "ham"}, "the positive label is 'spam' in A but 'ham' in B; choose one by --positive_label"),
    ],
)
def test_other_rows_are_refused_with_the_first_difference(change, message):
    given = {"reference": REFERENCE, "prediction": REFERENCE, "carried": {"text": ["a", "b", "c"]}}

    with pytest.raises(InputError) as raised:
        compare_predictions(classifier(**given), classifier(**given | change))

    assert message in str(raised.value)


def test_other_kinds_are_refused():
    text = make_predictions("text-generation", {"reference": ["a"], "prediction": ["a"]})

    with pytest.raises(InputError, match="A is of kind 'classification', B of kind 'text-generation'"):
        compare_predictions(classifier(REFERENCE, REFERENCE), text)


def test_texts_cut_into_different_tokens_share_no_perplexity():
    a, b = (make_predictions("language-modeling", {"nll": [2.0, 3.0], "tokens": tokens}) for tokens in ([2, 2], [2, 3]))

    with pytest.raises(InputError, match="allow no metric in common; give both the column 'bytes'"):
        compare_predictions(a, b)


def test_an_unknown_metric_is_refused_with_the_known():
    a = classifier(REFERENCE, REFERENCE)

    with pytest.raises(InputError, match="--metric 'f7' is not one of these tables' accuracy, "):
        compare_predictions(a, a, metric="f7")


def test_integers_that_no_float_holds_are_compared_with_floats():
    large = [2**64 - 1, 1, 2, 3, 4, 5]
    floats = [float(n) for n in large]
    right = make_predictions("regression", {"reference": floats, "prediction": floats})
    place = right.table.column_names.index("prediction")
    integers = replace(right, table=right.table.set_column(place, "prediction", pa.array(large, pa.uint64())))
    low = make_predictions("regression", {"reference": floats, "prediction": [0.5] * 6})

    pair = of(compare_predictions(integers, low), "mae")

    assert pair.a == 0
    assert pair.b == pytest.approx(np.mean(np.abs(np.array(floats) - 0.5)))


def test_columns_of_types_that_do_not_merge_are_named():
    numbers, place = make_predictions("regression", {"reference": [1.0, 2.0], "prediction": [1.0, 2.0]}), 2
    words = pa.array([["a"], ["b"]])
    other = replace(numbers, table=numbers.table.set_column(place, "prediction", words))

    with pytest.raises(InputError, match=r"A and B hold other types in one column \(.*prediction.*\); write it alike"):
        compare_predictions(numbers, other)
