"""A run goes on from a checkpoint as it began, or not at all."""

import json
import re

import datasets
import numpy as np
import peft
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtune.data.fingerprint import fingerprint
from llmtune.errors import InputError
from llmtune.tasks.losses import ClassificationLoss
from llmtune.training.resume import describe_run
from tests.training.test_trainer import StopsAt, trainer

OPTIONS = {"num_train_epochs": 2, "precision": "fp32", "save_total_limit": 4, "learning_rate": 1e-2}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume") / "run"
    stopped = trainer(folder, **OPTIONS)
    stopped.add_callback(StopsAt(5))
    stopped.train()
    return folder / "checkpoint-5"


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"learning_rate": 1e-5}, "--learning_rate 1e-05 (before: 0.01)"),
        ({"lr_scheduler_type": "cosine"}, "--lr_scheduler_type cosine (before: linear)"),
        ({"warmup_steps": 3}, "--warmup_steps 3 (before: 0)"),
        ({"num_train_epochs": 4}, "--num_train_epochs 4 (before: 2)"),
        ({"max_steps": 7}, "--max_steps 7 (before: -1)"),
        ({"seed": 7}, "--seed 7 (before: 42)"),
        ({"weight_decay": 0.5}, "--weight_decay 0.5 (before: 0.0)"),
        ({"optim": "sgd"}, "--optim sgd (before: adamw_torch_fused)"),
        ({"precision": "bf16"}, "--precision bf16 (before: fp32)"),
        ({"metric_for_best_model": "accuracy"}, "--metric_for_best_model accuracy (before: f1)"),
        ({"early_stopping_patience": 1}, "--early_stopping_patience 1 (before: None)"),
        (
            {"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 3, "save_steps": 3},
            "--save_steps 3 (before",
        ),
        ({"gradient_accumulation_steps": 3}, "rows of an optimizer step 6 (before: "),
    ],
)
def test_a_run_that_would_train_otherwise_is_refused_with_each_difference(checkpoint, changed, difference):
    other = trainer(checkpoint.parent, **{**OPTIONS, **changed})
    if "gradient_accumulation_steps" in changed:
        difference = re.sub("6 ", f"{describe_run(other)['rows of an optimizer step']} ", difference)

    with pytest.raises(InputError, match=re.escape(difference)) as raised:
        other.train(resume_from_checkpoint=str(checkpoint))

    message = str(raised.value)
    assert message.startswith(f"--resume_from_checkpoint {checkpoint}: this run differs from the one that wrote it: ")
    assert message.endswith(
        f"Give what that run was given, or begin a new run with its weights: --model_name_or_path {checkpoint}"
    )
    assert other.state.global_step == 0


def test_other_rows_classes_and_losses_are_refused(checkpoint):
    rows = trainer(checkpoint.parent, **OPTIONS)
    rows.train_dataset = rows.train_dataset.select([1, 0, *range(2, len(rows.train_dataset))])
    names = trainer(checkpoint.parent, **OPTIONS)
    names.model.config.id2label = {0: "spam", 1: "ham"}
    loss = trainer(checkpoint.parent, **OPTIONS)
    loss.compute_loss_func = ClassificationLoss("focal")

    validation = trainer(checkpoint.parent, **OPTIONS)
    validation.eval_dataset = validation.eval_dataset.select([1, 0, *range(2, len(validation.eval_dataset))])
    weights = trainer(checkpoint.parent, **OPTIONS)
    weights.model = weights.model.to(torch.bfloat16)

    for made, difference in (
        (validation, "sha256 of the tokens of validation"),
        (weights, "type of the weights bfloat16 (before: float32)"),
        (rows, "sha256 of the tokens of train"),
        (names, "class names spam, ham (before: LABEL_0, LABEL_1)"),
        (loss, "loss ClassificationLoss(kind='focal'"),
    ):
        with pytest.raises(InputError, match=re.escape(difference)):
            made.train(resume_from_checkpoint=True)


def test_a_checkpoint_of_another_trainer_is_compared_by_what_it_tells(checkpoint, tmp_path):
    state = json.loads((checkpoint / "trainer_state.json").read_text())
    del state["stateful_callbacks"]["llmtune"]
    (tmp_path / "checkpoint-5").mkdir()
    (tmp_path / "checkpoint-5" / "trainer_state.json").write_text(json.dumps(state))

    with pytest.raises(InputError, match=re.escape("--num_train_epochs 3 (before: 2). Give what")):
        trainer(tmp_path, **{**OPTIONS, "num_train_epochs": 3}).train(str(tmp_path / "checkpoint-5"))


def test_an_adapter_goes_on_over_the_base_and_the_layers_it_began_with(tmp_path):
    def adapted(base, layers):
        made = trainer(tmp_path / "run", **OPTIONS)
        config = peft.LoraConfig(r=2, target_modules=layers, modules_to_save=["classifier"])
        made.model.name_or_path = base
        made.model = peft.get_peft_model(made.model, config)
        return describe_run(made)

    first, base, layers = (adapted(*given) for given in (("a", ["query"]), ("b", ["query"]), ("a", ["key"])))

    assert {key: (first[key], base[key]) for key in first if first[key] != base[key]} == {"LoRA's base": ("a", "b")}
    assert {key: first[key] for key in first if first[key] != layers[key]} == {"LoRA's layers": "query"}


cells = st.lists(st.lists(st.integers(-100, 30_000), max_size=5), min_size=1, max_size=6)


@settings(deadline=None, max_examples=60)
@given(a=cells, b=cells)
def test_the_fingerprint_is_that_of_the_cells(a, b):
    features = datasets.Features(
        {"input_ids": datasets.List(datasets.Value("int64")), "labels": datasets.Value("int64")}
    )
    of_a, of_b, longer = (
        datasets.Dataset.from_dict({"input_ids": rows, "labels": [0] * len(rows)}, features=features)
        for rows in (a, b, [[7], *a])
    )

    assert (fingerprint(of_a) == fingerprint(of_b)) == (a == b)
    assert fingerprint(longer.select(np.arange(1, len(a) + 1))) == fingerprint(of_a)
