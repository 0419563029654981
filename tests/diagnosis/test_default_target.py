"""What earns *ready* where nobody said what is needed, for the kinds without classes."""

import numpy as np
import pytest

from llmtune.diagnosis.check import FAIL, NOT_APPLICABLE, NOT_ENOUGH_DATA, PASS
from llmtune.diagnosis.context import Context, diagnose
from llmtune.diagnosis.target_list import read_targets
from llmtune.diagnosis.verdict import NO_TARGET, NOT_READY, READY
from llmtune.metrics import score_predictions
from llmtune.predictions import make_predictions

N = 200
DRAW = np.random.default_rng(7)
TRUTH = DRAW.normal(size=N)
WALK = np.cumsum(DRAW.normal(size=N))


def numbers(reference, error, **more):
    prediction = reference + error * np.random.default_rng(1).normal(size=len(reference))
    return make_predictions("regression", {"reference": reference, "prediction": prediction, **more})


def words(row, n=12):
    return " ".join(f"w{word}" for word in np.random.default_rng(row).integers(0, 999, n))


def translated(right):
    """Rows of which this share of the words is right; nothing of the source is."""
    draw = np.random.default_rng(2)
    reference = [words(row) for row in range(N)]
    said = [" ".join(w if draw.random() < right else "?" for w in text.split()) for text in reference]
    columns = {"source": [words(9_000 + row) for row in range(N)], "reference": reference, "prediction": said}
    return make_predictions("text-generation", columns)


def answered(right, context=True):
    """Questions about a sentence of the context, of which this share is answered."""
    names = [f"name{row}" for row in range(N)]
    columns = {
        "question": [f"who made thing{row}" for row in range(N)],
        "reference": [[name] for name in names],
        "prediction": [name if row < right * N else f"nobody{row}" for row, name in enumerate(names)],
    }
    if context:
        columns["context"] = [
            f"All was well. And {name} made thing{row}. So it ends." for row, name in enumerate(names)
        ]
    return make_predictions("question-answering", columns)


def texts_scored(nll, tokens=20, **more):
    draw = np.random.default_rng(3)
    spread = nll * draw.uniform(0.8, 1.2, N)
    return make_predictions("language-modeling", {"nll": spread, "tokens": [tokens] * N, **more})


JUDGED = [
    (numbers(TRUTH, 0.3), READY, "Ready: Significantly better than the simpler models."),
    (numbers(TRUTH, 1.3), NOT_READY, "Not ready: A far simpler model is significantly better: mse 1."),  # R2 about -0.5
    (
        numbers(TRUTH, 0.95),
        NOT_ENOUGH_DATA,
        "Not enough data: Not significantly better on these rows than a far simpler model",
    ),
    # A random walk: the mean is beaten with ease, the last value is not.
    (numbers(WALK, 0.1, time=list(range(N))), READY, "Ready: Significantly better than"),
    (numbers(WALK, 2.0, time=list(range(N))), NOT_READY, "persistence "),
    (translated(0.7), READY, "Ready: Significantly better than"),
    (translated(0.0), NOT_READY, "the same text"),
    (answered(0.9), READY, "Ready: Significantly better than"),
    (answered(0.1), NOT_READY, "best-overlap sentence"),
    (answered(0.9, context=False), NO_TARGET, "without the columns 'question' and 'context' no simpler model"),
    (texts_scored(60.0), NO_TARGET, "a perplexity alone is neither good nor bad"),
    (texts_scored(0.0, tokens=0), NOT_ENOUGH_DATA, "Too few test rows: 0 scored tokens"),
]


@pytest.mark.parametrize(("table", "verdict", "said"), JUDGED)
def test_ready_is_earned(table, verdict, said):
    found = diagnose(Context(table, scores=score_predictions(table)))

    assert found.verdict == verdict
    assert said in found.sentence + " ".join(check.finding for check in found.checks)


def targets_of(case):
    return next(check for check in diagnose(case).checks if check.check == "targets")


def test_a_demand_that_is_met_decides_alone():
    table = texts_scored(40.0)  # e^2 = 7.4

    assert diagnose(Context(table, targets=read_targets("perplexity<=20"))).verdict == READY
    assert diagnose(Context(table, targets=read_targets("perplexity<=5"))).verdict == NOT_READY
    assert diagnose(Context(answered(0.9, context=False), targets=read_targets("f1>=60"))).verdict == READY


def test_what_surely_beats_its_base_is_worth_something():
    better, base = texts_scored(40.0), texts_scored(60.0)

    assert (
        targets_of(Context(better, base=base)).finding
        == "Significantly better than the base model; no target was set (--targets)"
    )
    assert targets_of(Context(base, base=base)).status == NOT_APPLICABLE


def test_more_than_eight_bits_a_byte_is_worse_than_guessing():
    guessing = texts_scored(40 * 8.6 * np.log(2), bytes=[40] * N)  # 8.6 bits a byte

    check = targets_of(Context(guessing, scores=score_predictions(guessing)))

    assert check.status == FAIL
    assert "worse than a uniform distribution over bytes: 8.6" in check.finding


def test_each_says_what_to_do():
    assert targets_of(Context(answered(0.9))).remedy == "set a target, e.g. --targets 'f1>=80'"
    lacking = targets_of(Context(texts_scored(60.0)))
    assert lacking.remedy == (
        "set a target, e.g. --targets 'perplexity<=20', or compare with what was there before: --base"
    )
    beaten = targets_of(Context(numbers(TRUTH, 1.3)))
    assert (beaten.status, beaten.finding) == (
        NOT_APPLICABLE,
        "no target was set (--targets), and a simpler model is better: see baseline",
    )
    assert targets_of(Context(numbers(TRUTH, 0.3))).status == PASS
