import json

import datasets
import pytest

from llmtune.arguments import DataArguments
from llmtune.data import load_splits
from llmtune.errors import InputError

NAMES = ["negative", "positive"]
FEATURES = datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=NAMES))


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def some_rows(n, start=0, label=None):
    rows = [{"text": f"text {start + i}", "label": i % 2 if label is None else label} for i in range(n)]
    return datasets.Dataset.from_list(rows, features=FEATURES)


def load(folder, **data):
    return load_splits(
        DataArguments(dataset_name=str(folder), **data),
        columns={"text": "text", "label": "label"},
        label_column="label",
        text_columns=["text"],
        seed=1,
    )


def message(folder, **data):
    with pytest.raises(InputError) as caught:
        load(folder, **data)
    return str(caught.value)


def test_a_saved_dataset_dict_gives_its_splits_with_class_names(tmp_path):
    folder = tmp_path / "saved"
    datasets.DatasetDict(train=some_rows(40), dev=some_rows(6, 100), test=some_rows(8, 200)).save_to_disk(folder)

    splits = load(folder)

    assert (len(splits.train), len(splits.validation), len(splits.test)) == (40, 6, 8)
    assert splits.label_names == tuple(NAMES)
    assert splits.validation[1] == {"id": 1, "text": "text 101", "label": "positive"}
    assert splits.fingerprints["validation"].source == f"{folder}[dev]"


def test_a_saved_dataset_without_splits_is_train(tmp_path):
    some_rows(40).save_to_disk(tmp_path / "saved")

    assert len(load(tmp_path / "saved").test) == 4


def test_a_split_that_is_not_there_comes_out_of_train(tmp_path):
    datasets.DatasetDict(train=some_rows(40), test=some_rows(8, 200)).save_to_disk(tmp_path / "saved")

    splits = load(tmp_path / "saved")

    assert (len(splits.train), len(splits.validation), len(splits.test)) == (36, 4, 8)


def test_a_test_split_published_without_labels_is_not_used_and_that_is_said(tmp_path):
    parts = {"train": some_rows(40), "validation": some_rows(6, 100), "test": some_rows(8, 200, label=-1)}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")

    splits = load(tmp_path / "saved")

    assert len(splits.test) == 4
    assert splits.made["test"].endswith("kept together, seed 1), for its labels are not public")


def test_a_row_without_a_label_among_labeled_ones_is_refused(tmp_path):
    test = datasets.concatenate_datasets([some_rows(3), some_rows(1, 100, label=-1)])
    datasets.DatasetDict(train=some_rows(40), test=test).save_to_disk(tmp_path / "saved")

    assert message(tmp_path / "saved").startswith(f"{tmp_path}/saved[test] row 4: no label (None) in column 'label'")


def test_a_folder_of_files_named_for_their_splits_is_read_as_files(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\n" + "".join(f"00{i},{i % 2}\n" for i in range(30)))
    (tmp_path / "valid.jsonl").write_text('{"text": "NA", "label": 1}\n')
    (tmp_path / "README.md").write_text("about")

    splits = load(tmp_path)

    assert splits.train["text"][0].startswith("00")
    assert splits.validation.to_list() == [{"id": 0, "text": "NA", "label": "1"}]


def test_a_folder_of_shards_is_read_by_datasets(tmp_path):
    (tmp_path / "set" / "data").mkdir(parents=True)
    for shard in range(2):
        some_rows(20, 20 * shard).to_parquet(tmp_path / "set" / "data" / f"train-0000{shard}-of-00002.parquet")

    splits = load(tmp_path / "set")

    assert sum(len(splits[split]) for split in ("train", "validation", "test")) == 40
    assert splits.label_names == tuple(NAMES)


LINES = [f"00{i},2014-05-{i + 1:02},{i % 2}.0" for i in range(30)]
CSV = "\n".join(["text,date,label", *LINES])
JSON = [dict(zip(("text", "date", "label"), line.split(","), strict=True)) for line in LINES]
JSONL = "\n".join(map(json.dumps, JSON))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mine.csv", CSV),
        ("mine.tsv", CSV.replace(",", "\t")),
        ("mine.jsonl", JSONL),
        ("mine.json", json.dumps(JSON)),
        ("my-train.csv", CSV),
        ("data/train.csv", CSV),
        ("train/part.jsonl", JSONL),
    ],
)
def test_texts_labels_and_dates_of_a_folder_are_as_written_whatever_its_files_are_called(tmp_path, name, content):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)

    splits = load(tmp_path, slice_columns=["date"])

    rows = [row for split in ("train", "validation", "test") for row in splits[split]]
    assert sorted(rows, key=lambda row: row["date"]) == [{"id": number, **row} for number, row in enumerate(JSON)]
    assert splits.fingerprints["train"].source == str(tmp_path / name)


def test_the_splits_of_a_folder_are_those_that_datasets_finds(tmp_path):
    for split in ("train", "test"):
        (tmp_path / f"my_{split}.csv").write_text(CSV)
    (tmp_path / "notes.txt").write_text("about")

    assert {made for split, made in load(tmp_path).made.items() if split != "validation"} == {
        "what is left of train without validation",
        "as given",
    }


def test_a_configuration_of_a_folder_is_read_as_written(tmp_path):
    (tmp_path / "en.csv").write_text(CSV)
    files = "configs:\n- config_name: en\n  data_files:\n  - split: train\n    path: en.csv\n"
    (tmp_path / "README.md").write_text(f"---\n{files}---\n")
    assert load(tmp_path, dataset_config_name="en").train["text"][0].startswith("00")

    features = "".join(f"  - name: {name}\n    dtype: string\n" for name in ("text", "date", "label"))
    declared = f"dataset_info:\n- config_name: en\n  features:\n{features}"
    (tmp_path / "README.md").write_text(f"---\n{files}{declared}---\n")
    assert load(tmp_path, dataset_config_name="en").train["text"][0].startswith("00")


def test_a_folder_of_several_files_of_text_is_refused(tmp_path):
    for part in range(3):
        (tmp_path / f"train-{part}.csv").write_text(CSV)

    assert message(tmp_path) == (
        f"{tmp_path}: the split 'train' is 3 files (train-0.csv, train-1.csv …), expected one, for texts have no types "
        "to join them by; join them and give --train_file, or write parquet"
    )


def test_what_cannot_be_opened_is_said(tmp_path):
    (tmp_path / "rows.csv").write_text("text,label\n")
    empty = datasets.DatasetDict(train=some_rows(40), test=some_rows(40).select([]))
    empty.save_to_disk(tmp_path / "empty")
    datasets.DatasetDict(unsupervised=some_rows(4)).save_to_disk(tmp_path / "other")
    both = tmp_path / "both"
    both.mkdir()
    (both / "dev.csv").write_text("text,label\n")
    (both / "validation.csv").write_text("text,label\n")

    assert message("no/such-set").startswith(
        "--dataset_name no/such-set: cannot be opened: ConnectionError: Couldn't reach"
    )
    assert "expected a Hub id (check its spelling, --dataset_config_name and the network), a folder with" in message(
        "no/x"
    )
    assert message(tmp_path / "rows.csv").endswith(
        "rows.csv: is a file, expected a Hub id or a folder; give --train_file"
    )
    assert message(tmp_path / "empty") == (
        f"--dataset_name {tmp_path}/empty: a split has no rows, expected at least one; save it again without it"
    )
    assert message(tmp_path / "other") == (
        f"{tmp_path}/other: splits found: ['unsupervised'], expected 'train' (and 'validation', 'test'); "
        f"save the split you mean to a file and give --train_file"
    )
    assert message(both) == (
        f"{both}: dev.csv and validation.csv are both the split 'validation', expected one file; "
        f"give --validation_file instead of --dataset_name"
    )


def test_what_datasets_refuses_is_passed_on_with_its_reason(tmp_path):
    script = tmp_path / "script"
    script.mkdir()
    (script / "script.py").write_text("import datasets\n")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "state.json").write_text("{}")
    (broken / "dataset_info.json").write_text("{}")
    rows = tmp_path / "rows"
    (rows / "data").mkdir(parents=True)
    (rows / "data" / "train.parquet").write_text('{"text": \n')

    assert "script: cannot be opened: RuntimeError: Dataset scripts are no longer supported" in message(script)
    assert "broken: cannot be opened: KeyError: '_data_files'; expected a Hub id" in message(broken)
    assert "rows: cannot be opened: " in message(rows)
    assert "cannot be opened: ValueError: BuilderConfig 'fr' not found" in message(rows, dataset_config_name="fr")
