"""By which name a file or a split on the Hub is train, validation or test: the same for every command."""

import json

import pytest
from datasets.data_files import SPLIT_KEYWORDS

from llmtune.arguments import DataArguments
from llmtune.arguments.data import SPLIT_NAMES
from llmtune.commands.check import name_splits
from llmtune.data.hub_datasets import load_named_dataset


@pytest.mark.parametrize(("split", "name"), [(split, name) for split in SPLIT_NAMES for name in SPLIT_NAMES[split]])
def test_a_file_is_the_same_split_for_check_and_for_a_dataset_folder(split, name, tmp_path):
    row = json.dumps({"text": "a", "label": "b"})
    names = {*SPLIT_NAMES.keys() - {split}, name}
    for file in sorted(names):
        (tmp_path / f"{file}.jsonl").write_text(row)

    of_folder = load_named_dataset(DataArguments(dataset_name=str(tmp_path)))
    of_check = name_splits([str(path) for path in tmp_path.iterdir()], {})

    assert of_folder[split].source == of_check[split] == str(tmp_path / f"{name}.jsonl")
    assert of_folder.keys() == of_check.keys()


def test_the_names_are_those_that_datasets_looks_for():
    ours = {split: set(names) - {"development"} for split, names in SPLIT_NAMES.items()}

    assert ours == {str(split): set(names) for split, names in SPLIT_KEYWORDS.items()}
