"""Folds: every row tested once, classes in equal shares, copies and groups on one side."""

import pytest

from llmtune.arguments import DataArguments
from llmtune.data import load_splits
from llmtune.errors import InputError


@pytest.fixture
def path(tmp_path):
    rows = [f"message {i % 180} is here,{'spam' if i % 180 % 6 == 0 else 'ham'},{i % 180 // 3}" for i in range(200)]
    (tmp_path / "train.csv").write_text("\n".join(["text,label,author", *rows]))
    return str(tmp_path / "train.csv")


def load(path, fold, *, seed=1, **more):
    data = DataArguments(train_file=path, fold=fold, **more)
    columns = {"text": "text", "label": "label"}
    return load_splits(data, columns=columns, label_column="label", text_columns=["text"], seed=seed)


def test_every_row_is_tested_once_and_classes_have_equal_shares(path):
    folds = [load(path, f"{i}/5") for i in range(1, 6)]

    tested = [text for splits in folds for text in splits.test["text"]]
    assert len(tested) == 200
    assert len(set(tested)) == 180
    for splits in folds:
        assert 0.12 < splits.class_counts["test"]["spam"] / len(splits.test) < 0.22
        assert not set(splits.test["text"]) & (set(splits.train["text"]) | set(splits.validation["text"]))
        assert len(splits.train) + len(splits.validation) + len(splits.test) == 200


def test_folds_are_the_same_for_every_seed_and_keep_groups(path):
    first, second = (load(path, "2/5", seed=seed, split_group_column="author") for seed in (1, 2))

    assert first.test["text"] == second.test["text"]
    assert not set(first.test["author"]) & set(first.train["author"])
    assert first.describe()["test"]["made"].startswith("fold 2/5 of train")


@pytest.mark.parametrize("fold", ["0/5", "6/5", "1/1", "one", "1-5"])
def test_a_wrong_fold_is_refused(fold, path):
    with pytest.raises(InputError, match="expected i/K with 1 <= i <= K"):
        load(path, fold)


def test_a_fold_beside_a_test_file_is_refused(path):
    with pytest.raises(InputError, match="takes the test rows out of train, but a test split is given"):
        load(path, "1/5", test_file=path)


def test_more_folds_than_texts_are_refused(tmp_path):
    (tmp_path / "few.csv").write_text("text,label\na,x\nb,y\nc,x\nd,y\n")

    with pytest.raises(InputError, match="4 rows are too few for 9 folds"):
        load(str(tmp_path / "few.csv"), "1/9")
