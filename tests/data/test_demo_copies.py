"""The data of every recipe's demo, as the recipe reads them and the checks of its report see them."""

import importlib.util
from pathlib import Path

import pytest

from llmtune.arguments.data import SPLITS
from llmtune.diagnosis.check import PASS
from llmtune.diagnosis.leakage import leakage
from llmtune.text.near_duplicates import NearDuplicates

RECIPES = Path(__file__).parents[2] / "recipes"
DEMOS = sorted(demo.name for demo in (RECIPES / "demo").iterdir())


class DataRead(Exception):
    """Ends a recipe once its data is read."""


@pytest.fixture(scope="module", params=DEMOS)
def read_demo(request, tmp_path_factory):
    """(arguments, task, splits) of the recipe's demo, before any model is made."""
    spec = importlib.util.spec_from_file_location(request.param, RECIPES / f"{request.param}.py")
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    read = []

    def stop(args, task, splits):
        read.append((args, task, splits))
        raise DataRead

    recipe.validate_metrics = stop
    with pytest.raises(DataRead):
        recipe.main(["--output_dir", str(tmp_path_factory.mktemp(request.param) / "run")])
    return read[0]


def test_there_is_a_demo_of_every_recipe():
    assert sorted(recipe.stem for recipe in RECIPES.glob("*.py")) == DEMOS


def test_no_row_of_a_split_copies_a_row_of_another(read_demo):
    args, task, splits = read_demo
    examples = {split: task.leakage_examples(splits[split], args.data) for split in SPLITS}

    for later, earlier in (("validation", "train"), ("test", "train"), ("test", "validation")):
        equal, near = NearDuplicates(examples[earlier].texts).find(examples[later].texts)
        assert not equal, f"{later} rows equal to rows of {earlier}"
        assert not near, f"edited copies of {earlier} in {later}, {near[0].edits}"
    assert leakage(examples["train"], {split: examples[split] for split in SPLITS[1:]}).status == PASS


def test_a_demo_says_what_its_model_must_reach(read_demo):
    args, _, _ = read_demo

    assert args.task.required
