"""Leaked rows are found, counted, and their effect on the score told; what is no leak passes."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from llmtune.baselines import tfidf_logistic_regression
from llmtune.comparison.score_drop import Drop, score_drop
from llmtune.data.files import read_rows
from llmtune.diagnosis.leakage import Duplicates, Examples, _judged, find_copies, leakage
from llmtune.predictions import make_predictions
from llmtune.stats import ConfidenceInterval
from llmtune.text.near_duplicates import NearDuplicate
from tests.text.test_near_duplicates import WORDS, changed, make_texts

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def make_examples(n, seed, words=(12, 30)):
    rng = random.Random(seed)
    return Examples(make_texts(n, seed, words), [rng.choice(["ham", "spam"]) for _ in range(n)])


def with_copies(train, test, rows, k=0):
    """The first rows of test replaced by rows of train, k words changed; labels go with them."""
    rng = random.Random(9)
    texts, labels = list(test.texts), list(test.labels)
    for place, row in enumerate(rows):
        texts[place] = changed(train.texts[row], k, rng, "replaced") if k else f"  {train.texts[row].upper()}!"
        labels[place] = train.labels[row]
    return Examples(texts, labels)


def predictions_right_on(test, right):
    """A model that knows the leaked rows and guesses wrongly now and then elsewhere."""
    other = {"ham": "spam", "spam": "ham"}
    said = [label if row in right or row % 3 else other[label] for row, label in enumerate(test.labels)]
    return make_predictions(
        "classification", {"reference": list(test.labels), "prediction": said}, label_names=("ham", "spam")
    )


def test_splits_without_copies_pass():
    train, test = make_examples(1000, 0), make_examples(300, 1)

    check = leakage(train, {"validation": make_examples(200, 2), "test": test}, predictions_right_on(test, ()))

    assert (check.status, check.remedy) == ("pass", "")
    assert check.finding == "No row of validation and test is in train, neither identical nor edited"
    assert check.numbers["drop"] is None
    assert check.numbers["copies"]["test/train"]["equal"] == 0


@pytest.mark.parametrize(
    ("k", "how"), [(0, "word for word"), (1, "with a word or two changed"), (2, "with a word or two changed")]
)
def test_copies_fail_with_their_rows_and_the_score_without_them(k, how):
    train = make_examples(1000, 0)
    test = with_copies(train, make_examples(300, 1), range(100, 140), k)

    check = leakage(train, {"test": test}, predictions_right_on(test, range(40)))

    assert check.status == "fail"
    assert check.finding.startswith(f"40 of 300 test rows (13 %) also stand in train (40 {how}); f1 of spam is 0.")
    found = check.numbers["copies"]["test/train"]["edited_rows" if k else "equal_rows"]
    assert [(one["row"], one["original"]) for one in found] == [(row, row + 100) for row in range(40)]
    drop = check.numbers["drop"]
    assert drop["with"] - drop["without"] == pytest.approx(drop["drop"])
    assert 0 < drop["low"] < drop["drop"] < drop["high"]
    assert "delete the copies from test" in check.remedy


def test_copies_are_listed_by_the_ids_of_their_rows():
    train = make_examples(300, 0)
    test = with_copies(train, make_examples(100, 1), range(100, 110))

    check = leakage(replace(train, row_ids=range(1000, 1300)), {"test": replace(test, row_ids=range(7, 207, 2))})

    found = check.numbers["copies"]["test/train"]["equal_rows"]
    assert [(one["row"], one["original"]) for one in found] == [(7 + 2 * at, 1100 + at) for at in range(10)]


def test_two_copies_are_no_matter_but_told():
    train = make_examples(1000, 0)
    test = with_copies(train, make_examples(300, 1), [5, 6])

    check = leakage(train, {"test": test}, predictions_right_on(test, range(2)))

    assert check.status == "pass"
    assert check.finding.startswith(
        "2 of 300 test rows (0.7 %) also stand in train (2 word for word): too few to change the result; f1 of spam is"
    )
    assert check.remedy == "delete these rows for a cleaner number (llmtune check lists them)"


def test_copies_under_another_label_are_counted():
    train = make_examples(1000, 0)
    test = with_copies(train, make_examples(300, 1), range(10))
    other = {"ham": "spam", "spam": "ham"}
    labels = [other[label] if row < 4 else label for row, label in enumerate(test.labels)]

    check = leakage(train, {"test": Examples(test.texts, labels)})

    assert check.finding == "10 of 300 test rows (3.3 %) also stand in train (10 word for word, 4 under another label)"
    assert check.numbers["copies"]["test/train"]["other_label"] == 4


def test_test_rows_in_validation_are_a_leak_too():
    validation = make_examples(300, 1)
    test = with_copies(validation, make_examples(300, 2), range(30))

    check = leakage(make_examples(500, 0), {"validation": validation, "test": test})

    assert check.status == "fail"
    assert check.finding == "30 of 300 test rows (10 %) also stand in validation (30 word for word)"


def test_alike_rows_with_labels_of_their_own_follow_a_template():
    rng = random.Random(0)
    names = [" ".join(rng.sample(WORDS, 3)) for _ in range(120)]

    def rows(adjective):
        texts = [f"the rather well known {name} is {adjective}" for name in names]
        return Examples(texts, [rng.choice(["good", "bad"]) for _ in texts])

    check = leakage(rows("vile"), {"test": rows("amazing")})

    assert check.numbers["copies"]["test/train"]["edited"] > 20
    assert check.numbers["copies"]["test/train"]["template"]
    assert check.status == "pass"
    assert check.finding.endswith("(rows that differ in a word or two follow a template: their labels differ too)")


def test_an_author_on_both_sides_is_a_leak():
    train, test = make_examples(100, 0), make_examples(50, 1)
    train = Examples(train.texts, ids={"author": [f"a{row % 20}" for row in range(100)]})
    test = Examples(test.texts, ids={"author": ["a3", "a4", *(f"b{row}" for row in range(46)), None, ""]})

    check = leakage(train, {"test": test})

    assert check.status == "fail"
    assert check.finding == "2 of 50 test rows (4.0 %) have a value of 'author' that train has"
    assert check.remedy == "split by it: --split_group_column author"
    assert check.numbers["shared_ids"] == {"test/train": {"author": 2}}


def test_a_test_time_inside_train_is_a_leak():
    train = Examples(make_texts(30), times=[f"2020-01-{day:02}" for day in range(1, 31)])
    test = Examples(make_texts(10, seed=1), times=[f"2020-{month:02}-30" for month in range(1, 11)])

    check = leakage(train, {"test": test})

    assert check.finding == "1 of 10 test rows (10 %) has a time not after all of train"
    assert check.remedy == "cut the series by time: test after the last row of train"
    assert leakage(train, {"test": Examples(test.texts, times=["2021-01-01"] * 10)}).status == "pass"


def test_without_held_out_rows_nothing_is_judged():
    train = make_examples(50, 0)

    assert leakage(train, {}).status == "not_applicable"
    few = leakage(train, {"test": make_examples(9, 1)})
    assert (few.status, few.finding) == ("not_enough_data", "9 test rows are too few to judge")


def test_the_drop_of_a_score_of_texts_is_by_rows():
    said = ["the same text here"] * 20 + ["wrong answer of another kind"] * 20
    table = make_predictions("text-generation", {"reference": ["the same text here"] * 40, "prediction": said})

    drop = score_drop(table, range(10))

    assert drop.metric == "bleu"
    assert drop.value == pytest.approx(drop.with_leaked - drop.without)
    assert drop.interval.low < drop.value < drop.interval.high
    assert drop.matters


def test_no_drop_without_leaked_or_without_clean_rows():
    test = make_examples(30, 0)
    table = predictions_right_on(test, ())

    assert score_drop(table, []) is None
    assert score_drop(table, range(30)) is None


def test_copies_are_found_without_labels():
    train = make_examples(300, 0)

    copies = find_copies(Examples(train.texts), {"test": Examples([train.texts[3], "else"])})

    assert copies["test"].equal == {0: 3}
    assert copies["test"].conflicting == []


@pytest.mark.skipif(not (DATA / "imdb").is_dir(), reason="real data are not here")
def test_imdb_with_train_rows_in_test_shows_the_drop():
    train, test = (
        Examples(rows.cells("text"), rows.cells("label"))
        for rows in (read_rows(DATA / "imdb" / f"{split}.jsonl") for split in ("train", "test"))
    )
    leaked = with_copies(train, test, range(100))
    names = ("negative", "positive")
    shape = make_predictions(
        "classification", {"reference": leaked.labels, "prediction": leaked.labels}, label_names=names
    )
    table = tfidf_logistic_regression(train.texts, train.labels, leaked.texts, shape)

    check = leakage(train, {"test": leaked}, table)

    drop = check.numbers["drop"]
    assert check.status == "fail"
    assert drop["low"] > 0.01  # TF-IDF with logistic regression knows its train rows verbatim
    assert check.numbers["copies"]["test/train"]["equal"] == 100
    assert leakage(train, {"test": test}).status == "pass"


def test_edited_copies_alone_fail_only_where_the_score_tells():
    near = [NearDuplicate(row=row, original=row, changed=1, words=12, bits=90.0, edits=()) for row in range(20)]
    copies = {("test", "train"): Duplicates(100, {}, near, [], labeled=True)}
    unsure = Drop("f1_macro", 0.80, 0.79, 0.01, ConfidenceInterval(-0.02, 0.04), 0.01)

    assert _judged(copies, {}, {}, None).status == "fail"
    found = _judged(copies, {}, {}, unsure)
    assert found.status == "not_enough_data"
    assert "too few rows to tell whether they raise the score" in found.finding
