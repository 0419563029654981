"""Ours beside another model on the same rows, and outputs that are no answer."""

import math
import re

import numpy as np
import pytest

from llmtune.diagnosis.baseline import baseline
from llmtune.diagnosis.check import FAIL, NOT_APPLICABLE, NOT_ENOUGH_DATA, PASS
from llmtune.diagnosis.degenerate_output import degenerate_output
from llmtune.diagnosis.perplexity_alone import perplexity_alone
from llmtune.diagnosis.worse_than_base import worse_than_base
from llmtune.errors import InputError
from llmtune.predictions import make_predictions
from tests.diagnosis.tables import binary


def model(accuracy, n=1_000, seed=0, names=("ham", "spam")):
    """The same references for every accuracy; errors drawn anew."""
    reference = np.random.default_rng(99).integers(0, len(names), n)
    draw = np.random.default_rng(seed)
    wrong = draw.random(n) >= accuracy
    prediction = np.where(wrong, (reference + 1) % len(names), reference)
    return make_predictions(
        "classification",
        {"reference": [names[i] for i in reference], "prediction": [names[i] for i in prediction]},
        label_names=names,
    )


@pytest.mark.parametrize("names", [("ham", "spam"), ("a", "b", "c"), tuple("abcdefghijklmno")])
def test_a_model_that_beats_the_simple_one_is_told_from_one_that_loses(names):
    good, poor = model(0.92, 1_500, 1, names), model(0.8, 1_500, 2, names)

    assert baseline(good, {"TF-IDF": poor}).status == PASS
    lost = baseline(poor, {"TF-IDF": good})
    assert lost.status == FAIL
    assert lost.remedy.startswith("use TF-IDF")
    tied = baseline(model(0.9, 1_500, 3, names), {"TF-IDF": model(0.9, 1_500, 4, names)})
    assert tied.status == NOT_ENOUGH_DATA
    assert re.fullmatch(
        r"Not significantly better on these rows than a far simpler model: \w+ 0\.\d{3}, [\w+ -]+ 0\.\d{3} "
        r"\(difference [+-]0\.\d{3}, (99 % CI \[-0\.\d{3}, \+0\.\d{3}\]|McNemar p = .+)\)",
        tied.finding,
    )
    assert tied.remedy.endswith("more test rows, or use TF-IDF, which is cheaper")


def test_a_tie_says_how_many_rows_would_tell():
    tied = baseline(model(0.9, 400, 1), {"TF-IDF": model(0.88, 400, 2)})

    pair = tied.numbers["TF-IDF"]
    needed = math.ceil(400 * ((pair["difference"] - pair["low"]) / pair["difference"]) ** 2)
    assert tied.remedy == f"label about {needed - 400} more test rows, or use TF-IDF, which is cheaper"


def test_always_naming_the_positive_label_beats_nothing():
    honest = model(0.6)
    always = make_predictions(
        "classification",
        {"reference": honest.column("reference"), "prediction": ["spam"] * len(honest)},
        label_names=honest.label_names,
    )

    assert baseline(always, {"TF-IDF": honest}).status == FAIL


def test_the_worst_of_several_decides():
    check = baseline(model(0.8, seed=1), {"majority": model(0.5, seed=2), "TF-IDF": model(0.95, seed=3)})

    assert check.status == FAIL
    assert "TF-IDF" in check.finding
    assert set(check.numbers) == {"majority", "TF-IDF"}
    assert baseline(model(0.8), {}).status == NOT_APPLICABLE


def test_becoming_worse_than_the_base_fails():
    assert worse_than_base(model(0.8, seed=1), model(0.9, seed=2)).status == FAIL
    assert "Significantly better" in worse_than_base(model(0.9, seed=1), model(0.8, seed=2)).finding
    assert "Not significantly worse" in worse_than_base(model(0.9, seed=1), model(0.9, seed=2)).finding
    assert worse_than_base(model(0.9), None).status == NOT_APPLICABLE


def test_other_kinds_are_compared_by_their_first_metric():
    draw = np.random.default_rng(0)
    truth = draw.normal(size=300)

    def forecast(error):
        return make_predictions("regression", {"reference": truth, "prediction": truth + error * draw.normal(size=300)})

    better = baseline(forecast(0.1), {"persistence": forecast(0.5)})
    assert better.status == PASS
    assert baseline(forecast(0.5), {"persistence": forecast(0.1)}).status == FAIL
    tags = [["B-PER", "O"]] * 100
    found = make_predictions("token-classification", {"reference": tags, "prediction": tags})
    half = [["B-PER", "O"]] * 50 + [["O", "O"]] * 50
    missed = make_predictions("token-classification", {"reference": tags, "prediction": half})
    assert baseline(missed, {"known names": found}).status == FAIL


DIFFERENT = [
    (binary(1, 1, 1, 1), "this table has 1,000 rows, other has 4; give predictions of the same rows"),
    (model(0.9, names=("a", "b")), "this table has the labels ham, spam, other has a, b"),
    (
        make_predictions("regression", {"reference": [1.0], "prediction": [1.0]}),
        "this table is of kind 'classification', other of kind 'regression'",
    ),
]


@pytest.mark.parametrize(("other", "message"), DIFFERENT)
def test_tables_of_other_rows_are_refused(other, message):
    with pytest.raises(InputError, match=message):
        baseline(model(0.9), {"other": other})


def test_another_reference_is_refused_with_its_row():
    with pytest.raises(InputError, match="row 1: reference is 'spam' in this table but 'ham' in other"):
        baseline(binary(2, 0, 0, 2), {"other": binary(1, 0, 0, 3)})


def texts(spoilt, n=100, share=0.2, source=None):
    reference = [f"a fine sentence of number {i}" for i in range(n)]
    prediction = [spoilt if i < share * n else text for i, text in enumerate(reference)]
    columns = {"reference": reference, "prediction": prediction}
    return make_predictions("text-generation", columns if source is None else {**columns, "source": source})


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [("", "empty"), ("the cat the cat the cat the cat", "repeated"), ("I don't know", "the same text")],
)
def test_outputs_that_are_no_answer_fail(spoilt, said):
    check = degenerate_output(texts(spoilt))

    assert check.status == FAIL
    assert f"20 % of the outputs are {said}" in check.finding


def test_copies_of_the_source_fail_unless_the_reference_copies_too():
    source = [f"ein Satz {i}" for i in range(100)]
    copied = make_predictions(
        "text-generation",
        {"source": source, "reference": [f"a sentence {i}" for i in range(100)], "prediction": source},
    )
    right = make_predictions("text-generation", {"source": source, "reference": source, "prediction": source})

    assert "copied from the source" in degenerate_output(copied).finding
    assert degenerate_output(right).status == PASS


def test_answers_that_were_cut_off_fail_with_the_flag_that_lets_them_end():
    rows = [f"a sentence {i}" for i in range(100)]
    columns = {"reference": rows, "prediction": rows, "ended": [i >= 20 for i in range(100)]}

    check = degenerate_output(make_predictions("text-generation", columns))

    assert (check.status, check.finding) == (
        FAIL,
        "Degenerate outputs: 20 % of the outputs are cut off before their end",
    )
    assert check.remedy.startswith("raise --max_new_tokens")
    columns["ended"] = [True] * 100
    assert degenerate_output(make_predictions("text-generation", columns)).status == PASS


def test_a_few_faults_are_no_habit():
    assert degenerate_output(texts("", share=0.02)).status == PASS
    assert degenerate_output(texts("", n=20, share=0)).status == NOT_ENOUGH_DATA
    assert degenerate_output(texts("", n=5)).status == NOT_ENOUGH_DATA
    assert degenerate_output(binary(1, 1, 1, 1)).status == NOT_APPLICABLE
    # No answer is the right answer to some questions.
    questions = {"reference": [[]] * 50 + [["yes"]] * 50, "prediction": [""] * 50 + ["yes"] * 50}
    assert degenerate_output(make_predictions("question-answering", questions)).status == PASS


def test_perplexity_stands_beside_a_task_or_is_said_to_be_alone():
    table = make_predictions("language-modeling", {"nll": [1.0], "tokens": [1]})

    assert perplexity_alone(table).status == NOT_ENOUGH_DATA
    assert "is the only result" in perplexity_alone(table).finding
    assert perplexity_alone(table, ("sst2 accuracy",)).status == PASS
    assert perplexity_alone(binary(1, 1, 1, 1)).status == NOT_APPLICABLE
