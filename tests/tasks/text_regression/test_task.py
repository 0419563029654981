"""Text regression: numbers to scaled labels, outputs back to the target's unit, clipping, and what is refused."""

import datasets
import numpy as np
import pytest
import torch
import transformers

from llmtune.arguments import DataArguments
from llmtune.data.in_memory import InMemoryData
from llmtune.data.rows import Rows
from llmtune.errors import InputError
from llmtune.models.from_scratch import train_tokenizer
from llmtune.tasks.registry import task_of_architecture
from llmtune.tasks.text_regression.arguments import TextRegressionArguments
from llmtune.tasks.text_regression.rows import read_limits, read_scores
from llmtune.tasks.text_regression.task import TextRegression

STARS = [1.0, 2.0, 4.0, 5.0, 5.0, 1.0]
TASK = TextRegression.from_options(TextRegressionArguments(max_length=8), STARS)
CLIPPED = TextRegression.from_options(TextRegressionArguments(max_length=8, clip_predictions="train"), STARS)
COLUMNS = {"text": "text", "label": "stars"}


@pytest.fixture(scope="module")
def encoded():
    texts = ["win cash now", "see you at lunch my friend at noon today", "ok", "fine"]
    rows = datasets.Dataset.from_dict({"id": range(4), "text": texts, "label": [1.0, 5.0, 3.0, 2.0], "shop": [*"abab"]})
    return TASK.encode(rows, train_tokenizer("bert", texts, 200, 64))


def test_labels_are_standardized_by_the_mean_and_deviation_of_train(encoded):
    assert TASK.target_center == pytest.approx(np.mean(STARS))
    assert TASK.target_size == pytest.approx(np.std(STARS))
    assert encoded.dataset["labels"] == pytest.approx([(star - 3) / np.std(STARS) for star in (1, 5, 3, 2)])
    assert encoded.facts == {"truncated": 1}


def test_an_output_is_given_back_in_the_unit_of_the_target_with_every_column_carried(encoded):
    outputs = TASK.reduce_logits((torch.tensor([[0.0], [1.0], [-3.0], [3.0]]),), None).numpy()

    table = TASK.tabulate(outputs, encoded)

    assert table.column("prediction") == pytest.approx([3 + output * np.std(STARS) for output in (0, 1, -3, 3)])
    assert table.column("reference") == [1.0, 5.0, 3.0, 2.0]
    assert table.column("shop") == [*"abab"]
    assert table.settings["task"] == "text-regression"
    assert [line for line in TASK.notes(table, {}, {}) if "clipped" in line] == []


def test_clipping_is_only_what_was_asked_for_and_is_counted(encoded):
    outputs = np.array([0.0, 1.0, -3.0, 3.0])

    table = CLIPPED.tabulate(outputs, encoded)
    columns, lines = CLIPPED.predicted_columns(outputs, encoded)

    assert table.column("prediction") == pytest.approx([3, 3 + np.std(STARS), 1, 5])
    assert columns["prediction"] == table.column("prediction")
    told = "predictions clipped to 1 to 5 (--clip_predictions): 2 of 4"
    assert told in CLIPPED.notes(table, {}, {})
    assert lines == ["predictions from 1 to 5, half of them below 3.866", told]


def test_a_row_that_is_not_finite_has_no_prediction_and_is_said(encoded):
    columns, lines = CLIPPED.predicted_columns(np.array([np.nan, 0.0, np.inf, -1.0]), encoded)

    assert columns["prediction"] == [None, 3.0, 5.0, pytest.approx(3 - np.std(STARS))]
    assert lines[-1] == "no prediction of 1 row with NaN or infinite outputs: do not use this model"


@pytest.mark.parametrize("task", [TASK, CLIPPED])
def test_scale_and_limits_survive_the_models_config(task):
    config = transformers.BertConfig(**task.head_config(), llmtune=task.to_config())

    again = TextRegression.from_config(transformers.BertConfig.from_dict(config.to_dict()), "run")

    assert again == task
    assert (config.num_labels, config.problem_type) == (1, "regression")


def test_a_checkpoint_made_elsewhere_answers_in_the_unit_itself():
    config = transformers.BertConfig(num_labels=1, architectures=["BertForSequenceClassification"])

    task = TextRegression.from_config(config, "cross/encoder")

    assert task_of_architecture("BertForSequenceClassification", "regression") is TextRegression
    assert task_of_architecture("BertForSequenceClassification").name == "text-classification"
    assert task.to_unit(np.array([0.25])).tolist() == [0.25]
    with pytest.raises(InputError, match="x: its head has 2 outputs, expected 1; is it a text regressor"):
        TextRegression.from_config(transformers.BertConfig(), "x")


def test_numbers_may_be_texts_of_a_csv_and_bad_rows_are_named():
    rows = Rows("a.csv", {"stars": ["4.5", "3", " 2 "]})
    bad = Rows("a.csv", {"stars": ["4.5", "4,5", None, "inf"]})

    assert read_scores(rows, {"label": rows.cells("stars")}, "stars")["label"] == [4.5, 3.0, 2.0]
    with pytest.raises(InputError) as raised:
        read_scores(bad, {"label": bad.cells("stars")}, "stars")
    lines = str(raised.value).splitlines()
    assert lines[1:] == [
        "  row 2: found '4,5' in column 'stars', expected a finite number",
        "  row 3: found None in column 'stars', expected a finite number",
        "  row 4: found 'inf' in column 'stars', expected a finite number",
        "write it as 4.5 (a point, no unit), or delete the row",
    ]


def test_classes_in_the_place_of_numbers_are_one_line():
    rows = Rows("a.csv", {"label": ["spam", "ham"] * 50})
    expected = "column 'label' holds no number, but 'spam': these are classes; train a classifier"

    with pytest.raises(InputError, match=expected) as raised:
        read_scores(rows, {"label": rows.cells("label")}, "label")
    assert "\n" not in str(raised.value)


def test_a_decimal_comma_is_no_class_and_a_number_too_large_to_square_is_named():
    cells = ["4,5", "3,0"]
    message = "f: column 'stars' holds '4,5', expected numbers with a point; write the decimal comma as a point"
    with pytest.raises(InputError, match=message):
        read_scores(Rows("f", {"stars": cells}), {"label": cells}, "stars")
    with pytest.raises(
        InputError, match=r"holds -1e\+300, expected numbers up to 1e\+100, whose squares can be summed"
    ):
        TextRegression.from_options(TextRegressionArguments(), [1.0, -1e300])


def test_numbers_that_are_all_the_same_are_refused():
    expected = "a.csv: column 'label' holds 3 in all 9 rows of train, expected numbers that differ; add rows, or"

    with pytest.raises(InputError, match=expected):
        TextRegression.from_options(TextRegressionArguments(), [3.0] * 9, "a.csv")


@pytest.mark.parametrize("text", ["test", "5,1", "1", "1,x", "1,2,3"])
def test_a_clipping_that_is_no_range_is_refused(text):
    with pytest.raises(InputError, match="expected none, train, or LOW,HIGH such as 0,5 \\(0 below 5\\)"):
        read_limits(text, STARS)


def test_rows_without_numbers_are_read_for_prediction():
    rows = InMemoryData.of_rows(Rows("new", {"text": ["one", "two"]}), "test")

    read, _ = TASK.read_split(rows, COLUMNS, labeled=False)

    assert read.column_names == ["id", "text"]


def test_leakage_is_told_by_the_texts_alone(encoded):
    examples = TASK.leakage_examples(encoded.rows, DataArguments())

    assert examples.labels is None
    assert examples.texts == encoded.rows["text"][:]
