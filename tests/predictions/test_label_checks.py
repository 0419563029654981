"""Labels of foreign tables: a spelling or an order that can't be meant is refused, with what is probably meant."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from llmtune.errors import InputError
from llmtune.metrics import score_predictions
from llmtune.predictions import read_predictions


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def confident(rng, labels, n, order=None, right=0.85):
    """Rows of a model that is mostly right; `order` is that of its probabilities."""
    order = list(labels) if order is None else order
    rows = []
    for number in range(n):
        reference = labels[number % len(labels)]
        scores = rng.normal(0, 1, len(order))
        scores[order.index(reference)] += 3 if rng.random() < right else 0
        shares = np.exp(scores) / np.exp(scores).sum()
        prediction = order[int(shares.argmax())]
        rows.append({"reference": reference, "prediction": prediction, "probabilities": shares.tolist()})
    return rows


@pytest.mark.parametrize(
    "labels",
    [list(range(12)), [str(i) for i in range(12)], [f"LABEL_{i}" for i in range(12)], [-1, 0, 1, 10], [0.5, 1.5, 10.5]],
    ids=["numbers", "texts", "LABEL_i", "negative", "fractions"],
)
def test_numbers_stand_in_the_order_of_their_values(tmp_path, labels):
    rows = confident(np.random.default_rng(0), labels, 120)

    table = read_predictions(write(tmp_path / "rows.jsonl", rows), kind="classification")

    assert list(table.label_names) == [str(label) for label in labels]
    expected = log_loss(
        [labels.index(row["reference"]) for row in rows],
        [row["probabilities"] for row in rows],
        labels=list(range(len(labels))),
    )
    assert score_predictions(table)["log_loss"].value == pytest.approx(expected)


@settings(max_examples=10, deadline=None)
@given(st.permutations(["ant", "bee", "cat", "dog"]))
def test_an_order_that_the_predictions_deny_is_refused_and_the_right_one_named(tmp_path_factory, order):
    labels = sorted(order)
    rows = confident(np.random.default_rng(1), labels, 200, order)
    path = write(tmp_path_factory.mktemp("order") / "rows.jsonl", rows)

    read_predictions(path, kind="classification", label_names=order)
    if order == labels:
        read_predictions(path, kind="classification")
        return
    with pytest.raises(InputError) as refused:
        read_predictions(path, kind="classification")

    assert f"did you mean --labels {','.join(order)}?" in str(refused.value)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 0.95))
def test_two_classes_at_any_threshold_are_read_and_swapped_ones_refused(tmp_path_factory, seed, threshold):
    rng = np.random.default_rng(seed)
    rows = confident(rng, ["no", "yes"], 100)
    for row in rows:
        row["prediction"] = "yes" if row["probabilities"][1] >= threshold else "no"
    folder = tmp_path_factory.mktemp("two")
    read_predictions(write(folder / "rows.jsonl", rows), kind="classification")
    for row in rows:
        row["probabilities"].reverse()

    with pytest.raises(InputError, match="the prediction is not the most probable class"):
        read_predictions(write(folder / "rows.jsonl", rows), kind="classification")


def test_a_named_order_that_does_not_fit_is_refused_too(tmp_path):
    path = write(tmp_path / "rows.jsonl", confident(np.random.default_rng(2), ["a", "b", "c"], 90))

    with pytest.raises(InputError, match=r"in the order c, a, b; did you mean --labels a,b,c\? Name the labels"):
        read_predictions(path, kind="classification", label_names=("c", "a", "b"))


@pytest.mark.parametrize(
    ("references", "predictions", "message"),
    [
        (["ham", "spam"], ["Ham", "spam"], "'Ham': did you mean 'ham'?"),
        (["ham", "spam"], ["ham ", "spam"], "'ham ': did you mean 'ham'?"),
        (["0", "1"], ["0.0", "1.0"], "'0.0': did you mean '0'?; '1.0': did you mean '1'?"),
        (["0", "1"], ["False", "True"], "'False': did you mean '0'?; 'True': did you mean '1'?"),
        (["0", "1"], ["LABEL_0", "LABEL_1"], "'LABEL_0': did you mean '0'?; 'LABEL_1': did you mean '1'?"),
        (["ham", "spam"], ["0", "1"], "no prediction is a label of the references: predicted are '0', '1', the"),
        (["ham", "spam"], ["LABEL_0", "LABEL_1"], "'LABEL_1': did you mean 'spam'?"),
        (["0", "1"], ["ham", "spam"], "'0': did you mean 'ham'?"),
        (["caf\u00e9", "b"], ["cafe\u0301", "b"], "did you mean 'caf\u00e9'?"),
        (["positive", "negative"], ["postive", "negativ"], "'postive': did you mean 'positive'?"),
    ],
)
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_labels_that_cannot_meet_are_refused_with_what_they_may_mean(
    tmp_path, references, predictions, message, ending
):
    if ending == ".jsonl":
        rows = [
            {"reference": reference, "prediction": prediction}
            for reference, prediction in zip(references, predictions, strict=True)
        ]
        path = write(tmp_path / "rows.jsonl", rows)
    else:
        path, comma = tmp_path / f"rows{ending}", "," if ending == ".csv" else "\t"
        lines = [f"{a}{comma}{b}" for a, b in zip(references, predictions, strict=True)]
        path.write_text("\n".join([f"reference{comma}prediction", *lines, ""]))

    with pytest.raises(InputError) as refused:
        read_predictions(path, kind="classification")

    assert message in str(refused.value)
    names = tuple(dict.fromkeys([*references, *predictions]))
    assert read_predictions(path, kind="classification", label_names=names).label_names == names


@pytest.mark.parametrize(
    ("predictions", "counted"), [(["Ham", "spam"], "1 predicted label is"), (["Ham", "SPAM"], "2 predicted labels are")]
)
def test_the_message_on_spelling_counts_the_labels_and_says_both_ways_out(tmp_path, predictions, counted):
    rows = [{"reference": a, "prediction": b} for a, b in zip(["ham", "spam"], predictions, strict=True)]

    with pytest.raises(InputError) as refused:
        read_predictions(write(tmp_path / "rows.jsonl", rows), kind="classification")

    assert f"{counted} not in the references, but spelled otherwise there. 'Ham': did you mean" in str(refused.value)
    assert str(refused.value).endswith(
        "Spell both columns alike; if they are different labels, name all of them with --labels"
    )


@pytest.mark.parametrize(
    ("references", "predictions", "message"),
    [
        (["B-PER", "O"], ["B-per", "O"], "'per': did you mean 'PER'?"),
        (["B-PER", "I-LOC"], ["B-PERSON", "I-LOCATION"], "no prediction is a entity type"),
    ],
)
def test_entity_types_that_cannot_meet_are_refused(tmp_path, references, predictions, message):
    path = write(tmp_path / "rows.jsonl", [{"reference": references, "prediction": predictions}])

    with pytest.raises(InputError) as refused:
        read_predictions(path, kind="token-classification")

    assert message.replace("a entity", "an entity") in str(refused.value)


@pytest.mark.parametrize(
    ("references", "predictions", "message"),
    [
        ([1, 2, 3], [0, 1, 2], "'0' is predicted and in no reference, and most rows are right under other names. '0'"),
        (["very bad", "so so", "good"], ["very_bad", "so_so", "good"], "'very_bad': did you mean 'very bad'?"),
        (["cat", "dog", "bird"], ["cats", "dogs", "bird"], "'cats': did you mean 'cat'?; 'dogs': did you mean 'dog'?"),
        (["0", "b", "c"], [0, 1, 2], "'1', '2' are predicted and in no reference"),
        (["1 star", "2 stars", "3 stars"], [1, 2, 3], "'1': did you mean '1 star'? '2': did you mean '2 stars'?"),
        (["ham", "spam", "eggs"], ["__label__ham", "__label__spam", "__label__eggs"], "did you mean 'eggs'?"),
    ],
)
@pytest.mark.parametrize("with_probabilities", [True, False])
def test_labels_under_other_names_are_refused_with_the_names_that_fit(
    tmp_path, references, predictions, message, with_probabilities
):
    rows = confident(np.random.default_rng(5), [0, 1, 2], 90, right=0.9)
    for row in rows:
        row |= {"reference": references[row["reference"]], "prediction": predictions[row["prediction"]]}
        if not with_probabilities:
            del row["probabilities"]
    path = write(tmp_path / "rows.jsonl", rows)

    with pytest.raises(InputError) as refused:
        read_predictions(path, kind="classification")

    assert message in str(refused.value)
    assert "Write the same names in both columns; if " in str(refused.value)


def test_a_class_that_this_test_lacks_may_be_predicted(tmp_path):
    rows = [{"reference": name, "prediction": name} for name in ("joy", "sadness")] * 30
    rows += [{"reference": "sadness", "prediction": "grief"}] * 9

    table = read_predictions(write(tmp_path / "rows.jsonl", rows), kind="classification")

    assert table.label_names == ("grief", "joy", "sadness")


@pytest.mark.parametrize(("wrong", "refused"), [(20, True), (4, False)])
def test_entity_types_under_other_names_are_refused_where_most_words_fit(tmp_path, wrong, refused):
    rows = [{"reference": ["B-LOC", "O", "B-LOC"], "prediction": ["B-LOC", "O", "B-LOC"]}] * 20
    rows += [{"reference": ["B-PER", "I-PER", "O"], "prediction": ["B-PERSON", "I-PERSON", "B-LOC"]}] * wrong
    path = write(tmp_path / "rows.jsonl", rows)

    if not refused:
        read_predictions(path, kind="token-classification")
        return
    with pytest.raises(InputError, match="'PERSON' is predicted and in no reference, and most rows are right"):
        read_predictions(path, kind="token-classification")
    read_predictions(path, kind="token-classification", label_names=("LOC", "PER", "PERSON"))


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.sampled_from("abc"), min_size=4, max_size=30),
    st.permutations(["ant", "bee", "cat"]),
)
def test_renaming_the_labels_changes_no_number(tmp_path_factory, letters, names):
    folder = tmp_path_factory.mktemp("names")
    predictions = [*letters[1:], letters[0]]
    as_letters = [{"reference": a, "prediction": b} for a, b in zip(letters, predictions, strict=True)]
    renamed = dict(zip("abc", names, strict=True))
    as_names = [{key: renamed[value] for key, value in row.items()} for row in as_letters]

    first = score_predictions(
        read_predictions(write(folder / "a.jsonl", as_letters), kind="classification", label_names=tuple("abc"))
    )
    second = score_predictions(
        read_predictions(write(folder / "b.jsonl", as_names), kind="classification", label_names=tuple(names))
    )

    for metric in ("accuracy", "f1_macro", "mcc", "cohen_kappa"):
        assert first[metric].value == second[metric].value


def test_spellings_are_counted_in_a_sentence(tmp_path):
    rows = [{"reference": name, "prediction": name} for name in ("spam", "ham")] * 20
    rows += [{"reference": "spam", "prediction": "Spam"}, {"reference": "ham", "prediction": "HAM"}]

    with pytest.raises(InputError) as refused:
        read_predictions(write(tmp_path / "rows.jsonl", rows), kind="classification")

    assert "2 predicted labels are not in the references, but spelled otherwise there. " in str(refused.value)
    assert "Spell both columns alike; if they are different labels, name all of them with --labels" in str(
        refused.value
    )


@pytest.mark.parametrize("hidden", ["\0", "\x07", "\x7f", "\u200b"])
def test_a_character_that_shows_nothing_makes_no_other_label(tmp_path, hidden):
    rows = [{"reference": "spam", "prediction": f"spam{hidden}"}, {"reference": "ham", "prediction": "ham"}]

    with pytest.raises(InputError, match="did you mean 'spam'"):
        read_predictions(write(tmp_path / "rows.jsonl", rows), kind="classification")
