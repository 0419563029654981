import json

import pytest

from llmtune.arguments import DataArguments
from llmtune.data import load_splits
from llmtune.errors import InputError


def write(folder, name, rows):
    path = folder / name
    if name.endswith(".csv"):
        names = list(rows[0])
        lines = [",".join(f'"{row[name]}"' for name in names) for row in rows]
        path.write_text("\n".join([",".join(names), *lines]) + "\n")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def some_rows(n=60, start=0, labels=("ham", "spam"), **more):
    return [{"text": f"text {start + i}", "label": labels[i % len(labels)], **more} for i in range(n)]


def load(seed=1, text_column="text", label_column="label", labeled=True, **data):
    columns = {"text": text_column, "label": label_column} if labeled else {"text": text_column}
    return load_splits(
        DataArguments(**data),
        columns=columns,
        label_column="label" if labeled else None,
        text_columns=["text"],
        seed=seed,
    )


def message(**data):
    with pytest.raises(InputError) as caught:
        load(**data)
    return str(caught.value)


# rows of train, other arguments, what the message says after the path
BAD_ROWS = [
    (
        some_rows(),
        {"text_column": "sms"},
        ": no column 'sms' (--text_column); columns found: ['text', 'label']; name one of them with --text_column, or, "
        "if that is a row, write the names of the columns above it",
    ),
    (
        some_rows(),
        {"label_column": "lable"},
        ": no column 'lable' (--label_column); columns found: ['text', 'label']; did you mean --label_column 'label'?",
    ),
    (some_rows(), {"group_columns": ["sex"]}, ": no column 'sex' (--group_columns); columns found: ['text', 'label']"),
    (some_rows(), {"slice_columns": ["sex"]}, ": no column 'sex' (--slice_columns); columns found"),
    (some_rows(), {"split_group_column": "by"}, ": no column 'by' (--split_group_column); columns found"),
    (
        [{"text;label": "a;b"}],
        {},
        ": no column 'text' (--text_column); columns found: ['text;label']: the columns seem separated by "
        "semicolons; .csv needs commas, .tsv tabs",
    ),
    (
        [*some_rows(2), {"text": " ", "label": "ham"}],
        {},
        " row 3 (line 4): no text (' ') in column 'text'; write the text in column 'text', or delete the row",
    ),
    ([*some_rows(2), {"text": "\u200b", "label": "ham"}], {}, " row 3 (line 4): no text ('\\u200b') in column 'text'"),
    (
        [*some_rows(2), {"text": "a", "label": ""}],
        {},
        " row 3 (line 4): no label ('') in column 'label'; write the class in column 'label'",
    ),
    (
        [{"text": "", "label": ""}],
        {},
        " row 1 (line 2): no text ('') in column 'text', and no label ('') in column 'label'; write the text "
        "in column 'text', or delete the row; write the class in column 'label'",
    ),
    (
        some_rows(labels=["ham"]),
        {},
        ": column 'label' has the one class 'ham' in all 60 rows, expected at least two; add rows of another "
        "class, or name another column with --label_column",
    ),
    (
        some_rows(4),
        {},
        ": 4 rows in 4 groups (rows that share a text) are too few to hold out validation and test: "
        "validation would be empty; each class needs 3 groups. Add rows or give --validation_file and "
        "--test_file",
    ),
    (
        some_rows(author="x"),
        {"split_group_column": "author"},
        ": 60 rows in 1 group (rows that share a text or a 'author') are too few to hold out",
    ),
    (some_rows(author=""), {"split_group_column": "author"}, "  row 1 (line 2): no value in column 'author'"),
    (
        some_rows(author=""),
        {"split_group_column": "author"},
        "\nfill it, or leave --split_group_column out",
    ),
    (
        some_rows(),
        {"max_train_samples": 1},
        ": train (what is left of train without validation and test; the first 1 of 48 rows "
        "(--max_train_samples)) has no row of class 'spam'; raise --max_train_samples, shuffle the file",
    ),
]


@pytest.mark.parametrize(("rows", "arguments", "expected"), BAD_ROWS)
def test_bad_rows_are_refused_with_place_finding_and_remedy(tmp_path, rows, arguments, expected):
    path = write(tmp_path, "a.csv", rows)

    found = message(train_file=path, **arguments)

    assert found.startswith(path)
    assert expected in found


BAD_CELLS = [  # text, label, message
    (None, "ham", "no text (null) in column 'text'"),
    (5, "ham", "found 5, expected text, in column 'text'"),
    ([], "ham", "no text (an empty list) in column 'text'"),
    (["a", None], "ham", "found ['a', None], expected text, in column 'text'"),
    ("a", None, "no label (None) in column 'label'; write the class in column 'label'"),
    ("a", float("nan"), "no label (nan) in column 'label'"),
    ("a", 0.5, "label 0.5 is not text or a whole number in column 'label'; name another column with --label_column"),
    ("a", ["x"], "label ['x'] is not text or a whole number in column 'label'"),
]


@pytest.mark.parametrize(("text", "label", "expected"), BAD_CELLS)
def test_cells_of_a_wrong_type_are_refused(tmp_path, text, label, expected):
    path = write(tmp_path, "a.jsonl", [*some_rows(), {"text": text, "label": label}])

    found = message(train_file=path)

    assert found.startswith(f"{path} line 61: {expected}")


def test_a_list_is_no_group(tmp_path):
    path = write(tmp_path, "a.jsonl", [*some_rows(author="a"), {"text": "t", "label": "ham", "author": ["a", "b"]}])

    assert message(train_file=path, split_group_column="author") == (
        f"{path} line 61: found ['a', 'b'] in column 'author', expected one text or number; give each row one group"
    )


def test_labels_that_train_does_not_have_are_refused_with_the_nearest(tmp_path):
    train = write(tmp_path, "a.csv", some_rows())
    rows = [{"text": f"t{i}", "label": label} for i, label in enumerate(["spma", "ham", "Spam ", "eggs"])]
    test = write(tmp_path, "b.csv", rows)

    assert message(train_file=train, test_file=test).splitlines() == [
        f"{test}: 3 bad rows:",
        "  row 1 (line 2): label 'spma' in column 'label' is not one of train's ['ham', 'spam'], did you mean 'spam'?",
        "  row 3 (line 4): label 'Spam ' in column 'label' is not one of train's ['ham', 'spam'], did you mean 'spam'?",
        "  row 4 (line 5): label 'eggs' in column 'label' is not one of train's ['ham', 'spam']",
        "mend the label; mend the label, or train on rows of that class too",
    ]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_hundreds_of_measured_numbers_are_one_line_that_names_regression(tmp_path, ending):
    path = tmp_path / f"rows.{ending}"
    scores = [f"{i / 7:.4f}" for i in range(824)]
    if ending == "csv":
        path.write_text("\n".join(["text,score", *(f"words {i},{score}" for i, score in enumerate(scores))]))
    else:
        path.write_text("\n".join(f'{{"text": "words {i}", "score": {score}}}' for i, score in enumerate(scores)))

    with pytest.raises(InputError) as raised:
        load(train_file=str(path), label_column="score")

    found = str(raised.value)
    assert found.count("\n") == 0
    assert "column 'score' holds 824 different numbers in 824 rows, such as 0.0" in found
    assert "this is regression, and a classifier has classes; train recipes/text_regression.py, name another" in found


@pytest.mark.parametrize("labels", [["0.5", "1", "1.5", "2"], [str(number) for number in range(60)]])
def test_stars_in_halves_and_many_whole_numbers_are_classes(tmp_path, labels):
    path = tmp_path / "rows.csv"
    rows = [f"words {i},{labels[i % len(labels)]}" for i in range(10 * len(labels))]
    path.write_text("\n".join(["text,label", *rows]))

    assert load(train_file=str(path)).label_names == tuple(labels)


def test_a_group_that_pandas_left_empty_is_refused(tmp_path):
    path = write(tmp_path, "train.jsonl", [*some_rows(author=1.0), *some_rows(1, 100, author=float("nan"))])

    assert "line 61: no value in column 'author'; fill it" in message(train_file=path, split_group_column="author")


def test_a_label_in_another_spelling_of_a_number_is_told_by_its_value(tmp_path):
    train = write(tmp_path, "train.jsonl", some_rows(labels=("1", "2", "3")))
    test = write(tmp_path, "test.jsonl", some_rows(start=100, labels=("3.0",)))
    assert "did you mean '3'?" in message(train_file=train, test_file=test)


def test_sets_in_a_recipe_of_one_label_are_told_the_recipe_that_reads_them(tmp_path):
    train = write(tmp_path, "train.jsonl", some_rows(labels=(["a"], ["a", "b"])))
    assert "or for several labels a text train recipes/text_classification.py" in message(train_file=train)
