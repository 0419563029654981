import json
import time
from pathlib import Path

import datasets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtune.arguments import DataArguments
from llmtune.data import load_split, load_splits
from llmtune.errors import InputError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


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


def numbered(rows):
    return [{"id": number, **row} for number, row in enumerate(rows)]


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


def test_given_files_of_different_formats_are_taken_as_they_are(tmp_path):
    train, validation, test = some_rows(9), some_rows(4, start=100), some_rows(5, start=200)

    splits = load(
        train_file=write(tmp_path, "a.csv", train),
        validation_file=write(tmp_path, "b.jsonl", validation),
        test_file=write(tmp_path, "c.csv", test),
    )

    assert splits.train.to_list() == numbered(train)
    assert splits.validation.to_list() == splits["validation"].to_list() == numbered(validation)
    assert splits.test.to_list() == numbered(test)
    assert splits.label_names == ("ham", "spam")


def test_columns_come_out_under_their_canonical_names_beside_the_carried_ones(tmp_path):
    rows = [{"sms": f"text {i}", "y": "ab"[i % 2], "sex": "fm"[i % 2], "unused": 0, "words": i} for i in range(20)]

    splits = load(
        train_file=write(tmp_path, "a.jsonl", rows),
        text_column="sms",
        label_column="y",
        group_columns=["sex"],
        slice_columns=["words", "sex"],
    )

    assert splits.train.column_names == ["id", "text", "label", "sex", "words"]


def test_only_train_given_is_split_in_three_and_said(tmp_path):
    path = write(tmp_path, "a.csv", some_rows(200))

    splits = load(train_file=path, seed=7)

    described = splits.describe()
    assert {split: about["rows"] for split, about in described.items()} == {"train": 160, "validation": 20, "test": 20}
    assert described["test"]["classes"] == {"ham": 10, "spam": 10}
    assert described["test"]["duplicates"] == {"test": 0, "train/test": 0, "validation/test": 0}
    assert (
        described["test"]["made"]
        == "held out of train (10.0%, stratified by 'label', equal texts kept together, seed 7)"
    )
    assert described["train"]["made"] == "what is left of train without validation and test"
    assert described["train"]["source"] == path
    assert json.loads(json.dumps(described)) == described


@pytest.mark.parametrize("fold", [None, "2/3"])
def test_the_id_of_a_row_is_its_number_in_the_source_after_any_hold_out(tmp_path, fold):
    rows = some_rows(90)
    splits = load(train_file=write(tmp_path, "a.csv", rows), fold=fold, max_train_samples=20, max_eval_samples=7)

    for split in ("train", "validation", "test"):
        ids = splits[split]["id"]
        assert [rows[number]["text"] for number in ids] == list(splits[split]["text"])
        assert list(ids) == sorted(ids)
    split_ids = [set(splits[split]["id"]) for split in ("train", "validation", "test")]
    assert len(set.union(*split_ids)) == sum(map(len, split_ids))
    assert max(split_ids[2]) > 7


@pytest.mark.parametrize(("given", "missing"), [("validation", "test"), ("test", "validation")])
def test_a_missing_split_comes_out_of_train_never_out_of_the_other(tmp_path, given, missing):
    train = some_rows(100)
    other = some_rows(10, start=1000)

    splits = load(train_file=write(tmp_path, "a.csv", train), **{f"{given}_file": write(tmp_path, "b.csv", other)})

    assert splits[given].to_list() == numbered(other)
    assert len(splits[missing]) == 10
    assert sorted([*splits.train["text"], *splits[missing]["text"]]) == sorted(row["text"] for row in train)


def test_a_limit_cuts_after_the_split_and_is_said(tmp_path):
    path = write(tmp_path, "a.csv", some_rows(200))
    whole = load(train_file=path)

    splits = load(train_file=path, max_train_samples=30, max_eval_samples=5)

    assert splits.train["text"][:] == whole.train["text"][:30]
    assert splits.test["text"][:] == whole.test["text"][:5]
    assert splits.describe()["test"]["made"].endswith("; the first 5 of 20 rows (--max_eval_samples)")
    assert splits.describe()["train"]["made"].endswith("; the first 30 of 160 rows (--max_train_samples)")
    assert splits.fingerprints["test"].rows == 5


def test_a_limit_above_the_rows_changes_nothing(tmp_path):
    path = write(tmp_path, "a.csv", some_rows(50))

    limited = load(train_file=path, max_train_samples=99, max_eval_samples=99)

    assert limited.describe() == load(train_file=path).describe()


def test_the_fingerprint_hangs_on_content_and_order_not_on_format_or_carried_columns(tmp_path):
    rows = some_rows(30, labels=("1", "2"))
    numbers = [{**row, "label": float(row["label"]), "more": None} for row in rows]
    files = {
        "csv": write(tmp_path, "a.csv", rows),
        "json": write(tmp_path, "b.jsonl", numbers),
        "swapped": write(tmp_path, "c.csv", rows[::-1]),
    }

    hashes = {name: load(train_file=path, test_file=path).fingerprints["test"].sha256 for name, path in files.items()}

    assert hashes["csv"] == hashes["json"] != hashes["swapped"]


def test_duplicates_are_counted_within_and_across(tmp_path):
    train = [*some_rows(6), {"text": "TEXT 0!", "label": "ham"}]
    test = [*some_rows(2, start=50), {"text": "text 1", "label": "spam"}, {"text": "Text 1", "label": "spam"}]

    splits = load(
        train_file=write(tmp_path, "a.jsonl", train),
        validation_file=write(tmp_path, "b.jsonl", some_rows(3, start=50)),
        test_file=write(tmp_path, "c.jsonl", test),
    )

    assert splits.duplicates == {
        "train": 1,
        "validation": 0,
        "test": 1,
        "train/validation": 0,
        "train/test": 2,
        "validation/test": 2,
    }


LABELS = [  # as in the file, as they come out
    (["b", "a"], ("a", "b")),
    ([10, 9], ("9", "10")),
    (["10", "9"], ("9", "10")),
    ([1.0, 0.0], ("0", "1")),
    ([True, False], ("False", "True")),
    (["NA", "null"], ("NA", "null")),
    (["-1", "0.5", "1"], ("-1", "0.5", "1")),  # as text they are class names like others
    (["2", "nan", "10"], ("10", "2", "nan")),
]


@pytest.mark.parametrize(("labels", "names"), LABELS)
def test_labels_are_text_in_the_order_of_their_numbers_if_they_are_numbers(tmp_path, labels, names):
    splits = load(train_file=write(tmp_path, "a.jsonl", some_rows(30, labels=labels)))

    assert splits.label_names == names
    assert set(splits.train["label"]) == set(names)


def test_class_ids_keep_the_order_of_their_ids(tmp_path):
    features = datasets.Features(
        text=datasets.Value("string"), label=datasets.ClassLabel(names=["neutral", "bad", "good"])
    )
    rows = datasets.Dataset.from_list([{"text": f"t{i}", "label": 1 + i % 2} for i in range(30)], features=features)
    rows.to_parquet(tmp_path / "a.parquet")

    assert load(train_file=str(tmp_path / "a.parquet")).label_names == ("bad", "good")


def test_without_a_label_column_cells_may_be_anything(tmp_path):
    rows = [{"tokens": ["New", f"York {i}"], "tags": ["O", "B-LOC"]} for i in range(30)]

    splits = load_splits(
        DataArguments(train_file=write(tmp_path, "a.jsonl", rows)),
        columns={"tokens": "tokens", "tags": "tags"},
        label_column=None,
        text_columns=["tokens"],
        seed=1,
    )

    assert splits.label_names == ()
    assert splits.describe()["test"]["made"] == "held out of train (10.0%, equal texts kept together, seed 1)"
    assert splits.train[0]["tags"] == ["O", "B-LOC"]


def test_without_text_columns_no_row_equals_another(tmp_path):
    splits = load_splits(
        DataArguments(train_file=write(tmp_path, "a.jsonl", [{"text": ""}] * 30)),
        columns={"text": "text"},
        label_column=None,
        text_columns=[],
        seed=1,
    )

    assert [len(splits[split]) for split in ("train", "validation", "test")] == [24, 3, 3]


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), min_size=40, max_size=90),
    seed=st.integers(0, 5),
)
def test_rows_are_conserved_and_neither_text_nor_author_stands_on_two_sides(tmp_path_factory, numbers, seed):
    rows = [{"text": f"t{t}", "label": "ab"[i % 2], "author": f"p{p}", "row": i} for i, (t, p) in enumerate(numbers)]
    path = write(tmp_path_factory.mktemp("rows"), "a.jsonl", rows)
    arguments = {"train_file": path, "split_group_column": "author", "slice_columns": ["row"], "seed": seed}

    try:
        splits = load(**arguments)
    except InputError as error:  # few texts and authors may all hang together
        if "too few to hold out" not in str(error) and "has no row of class" not in str(error):
            raise
        return

    parts = [splits.train, splits.validation, splits.test]
    assert sorted(row for part in parts for row in part["row"]) == list(range(len(rows)))
    for name in ("text", "author"):
        assert sum(len(set(part[name])) for part in parts) == len({row[name] for row in rows})
    assert load(**arguments).fingerprints == splits.fingerprints


def test_one_split_is_read_against_the_classes_of_a_model(tmp_path):
    rows = some_rows(4)
    data = DataArguments(test_file=write(tmp_path, "a.csv", rows), train_file="not read", max_eval_samples=3)
    how = {"columns": {"text": "text", "label": "label"}, "label_column": "label", "text_columns": ["text"]}

    test, fingerprint = load_split(data, "test", label_names=["spam", "ham"], **how)

    assert test.to_list() == numbered(rows[:3])
    assert fingerprint.rows == 3
    with pytest.raises(InputError, match=r"label 'ham' in column 'label' is not one of the model's \['eggs', 'spam'\]"):
        load_split(data, "test", label_names=["eggs", "spam"], **how)
    with pytest.raises(InputError, match="no validation split: found .*; give --validation_file"):
        load_split(data, "validation", label_names=["ham", "spam"], **how)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
@pytest.mark.parametrize("labels", [[0, 1], ["0", "1"], [0.0, 1.0], ["LABEL_0", "LABEL_1"]])
def test_a_class_without_a_name_is_read_by_its_number(labels, name, tmp_path):
    rows = [{"text": f"text {i}", "label": labels[i % 2]} for i in range(4)]
    data = DataArguments(test_file=write(tmp_path, name, rows))
    how = {"columns": {"text": "text", "label": "label"}, "label_column": "label", "text_columns": ["text"]}

    test, _ = load_split(data, "test", label_names=["LABEL_0", "LABEL_1"], **how)

    assert list(test["label"]) == ["LABEL_0", "LABEL_1"] * 2


def test_a_model_without_class_names_and_labels_by_name_are_told_where_to_write_them(tmp_path):
    data = DataArguments(test_file=write(tmp_path, "a.csv", [{"text": "a", "label": "ham"}]))
    how = {"columns": {"text": "text", "label": "label"}, "label_column": "label", "text_columns": ["text"]}

    with pytest.raises(InputError) as error:
        load_split(data, "test", label_names=["LABEL_0", "LABEL_1"], **how)

    assert str(error.value).endswith(
        "row 1 (line 2): label 'ham' in column 'label' is not one of the model's ['LABEL_0', 'LABEL_1']; its "
        "config.json names no classes: write their names there, in id2label and label2id"
    )


def test_arguments_that_contradict_are_refused(tmp_path):
    path = write(tmp_path, "a.csv", some_rows(author="x"))

    assert message(test_file=path) == "no train split: found ['test']; give --train_file or a data set that has one"
    assert "--dataset_name x and --train_file are both given; give one" in message(dataset_name="x", train_file=path)
    assert "--max_eval_samples 0: expected 1 or more; leave it out" in message(train_file=path, max_eval_samples=0)
    assert "--test_fraction 1.0: test come out of train" in message(
        train_file=path, validation_file=path, test_fraction=1.0
    )
    assert message(train_file=path, validation_fraction=0.0).startswith(
        "--validation_fraction 0.0: validation and test come out of train, so the fractions must be above 0 and"
    )
    taken = message(train_file=path, label_column="author", group_columns=["label"])
    assert taken == (
        f"--group_columns label: the task already has a column 'label', read from 'author'; "
        f"rename the column 'label' in {path}"
    )
    numbered = write(tmp_path, "numbered.csv", some_rows(id="x", length="y"))
    lost = message(train_file=numbered, slice_columns=["length"])
    assert lost == (
        f"--slice_columns length: the predictions table has a column 'length' of its own; "
        f"rename the column in {numbered}"
    )
    with pytest.raises(InputError, match="too few to hold out"):  # only grouped by, not carried: any name will do
        load(train_file=numbered, split_group_column="id")


def test_a_class_that_its_groups_take_out_of_train_is_refused(tmp_path):
    # Three threads hold all rows of class zz, each thread with a rarer class that is drawn first.
    rows = [
        {"text": f"{own} {i} {c}", "label": "zz" if c and not i else own, "thread": f"{own}{i}"}
        for own in ("x", "y", "z")
        for i in range(3)
        for c in range(2)
    ]
    path = write(tmp_path, "a.csv", rows)

    found = {
        message(train_file=path, split_group_column="thread", seed=seed)
        for seed in range(200)
        if not _loads(train_file=path, split_group_column="thread", seed=seed)
    }

    assert found == {
        f"{path}: train (what is left of train without validation and test) has no row of class 'zz'; raise "
        f"--max_train_samples, shuffle the file, or give --validation_file and --test_file instead of holding them out"
    }


def _loads(**data):
    try:
        load(**data)
    except InputError:
        return False
    return True


def test_a_hundred_thousand_rows_take_seconds(tmp_path):
    path = write(
        tmp_path, "a.jsonl", [{"text": f"some words of message {i}", "label": "ab"[i % 2]} for i in range(100_000)]
    )

    start = time.perf_counter()
    splits = load(train_file=path)

    assert time.perf_counter() - start < 15  # about 2 s on an idle core
    assert sum(print.rows for print in splits.fingerprints.values()) == 100_000


@pytest.mark.skipif(not SHARED.exists(), reason=f"the real data sets lie in {SHARED}, which is not here")
def test_the_real_sms_set_comes_out_whole():
    files = {f"{split}_file": str(SHARED / "sms_spam" / f"{split}.jsonl") for split in ("train", "validation", "test")}

    splits = load(**files)

    assert [splits.class_counts[split] for split in ("train", "validation", "test")] == [
        {"ham": 2927, "spam": 409},
        {"ham": 450, "spam": 63},
        {"ham": 450, "spam": 63},
    ]
    assert set(splits.duplicates.values()) == {0}


@pytest.mark.parametrize("fold", [None, "2/5"])
def test_a_cell_that_does_not_fit_is_named_by_its_place_in_the_file(tmp_path, fold):
    rows = [{"text": f"text {i}", "label": "ab"[i % 2], "year": 2000 + i} for i in range(200)]
    rows[149]["year"] = "unknown"
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    data = DataArguments(train_file=str(path), slice_columns=["year"], fold=fold)

    with pytest.raises(InputError, match="train.jsonl line 150: column 'year' holds 'unknown'"):
        load_splits(
            data, columns={"text": "text", "label": "label"}, label_column="label", text_columns=["text"], seed=1
        )
