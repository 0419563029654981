"""A run goes on from a checkpoint as it began, or not at all."""

import json
import re
import shutil

import datasets
import numpy as np
import peft
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtune.data.fingerprint import fingerprint
from llmtune.errors import InputError
from llmtune.finish.write_run import training_facts
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
    all_the_same = (
        "" if "optim" in changed else "; go on all the same with --allow_resume_mismatch, which the report tells"
    )
    assert message.endswith(
        f"Give what that run was given{all_the_same}; or begin a new run with its weights: --model_name_or_path "
        f"{checkpoint}"
    )
    assert other.state.global_step == 0


def goes_on(checkpoint, folder, *, rows=lambda made: None, **changed):
    """The trainer that went on from a copy of the checkpoint with what has changed, and its `training` in run.json."""
    shutil.copytree(checkpoint, folder / checkpoint.name)
    made = trainer(folder, **{**OPTIONS, "allow_resume_mismatch": True, **changed})
    rows(made)
    made.train(resume_from_checkpoint=str(folder / checkpoint.name))
    return made, training_facts(made)


@pytest.mark.parametrize(
    ("changed", "difference", "steps"),
    [
        ({"learning_rate": 1e-5}, "--learning_rate 1e-05 (before: 0.01)", 10),
        ({"lr_scheduler_type": "cosine"}, "--lr_scheduler_type cosine (before: linear)", 10),
        ({"num_train_epochs": 4}, "--num_train_epochs 4 (before: 2)", 20),
        ({"max_steps": 7}, "--max_steps 7 (before: -1)", 7),
        ({"seed": 7}, "--seed 7 (before: 42)", 10),
        ({"precision": "bf16"}, "--precision bf16 (before: fp32)", 10),
        ({"gradient_accumulation_steps": 2}, "rows of an optimizer step 16 (before: 8)", 6),
        ({"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 3, "save_steps": 3}, "--save_steps 3", 10),
    ],
)
def test_a_run_that_is_told_to_goes_on_all_the_same_and_says_what_has_changed(
    checkpoint, changed, difference, steps, tmp_path, capsys
):
    made, facts = goes_on(checkpoint, tmp_path, **changed)

    (sentence,) = facts["resume_mismatches"]
    assert sentence.startswith(f"training went on from {tmp_path}/checkpoint-5 otherwise than it began: ")
    assert difference in sentence
    assert f"--allow_resume_mismatch: {sentence}\n" in capsys.readouterr().err
    assert made.state.global_step == steps


def test_what_was_changed_is_still_told_after_the_next_resume_and_is_no_change_any_more(checkpoint, tmp_path):
    _, facts = goes_on(
        checkpoint, tmp_path, seed=7, save_strategy="steps", save_steps=1, eval_steps=1, eval_strategy="steps"
    )
    again = trainer(
        tmp_path,
        **OPTIONS | {"seed": 7, "save_strategy": "steps", "save_steps": 1, "eval_steps": 1, "eval_strategy": "steps"},
    )

    again.train(resume_from_checkpoint=True)

    assert training_facts(again)["resume_mismatches"] == facts["resume_mismatches"]


def test_a_best_value_on_other_rows_is_forgotten(checkpoint, tmp_path):
    def other_validation(made):
        made.eval_dataset = made.eval_dataset.select(range(10))

    before = json.loads((checkpoint / "trainer_state.json").read_text())
    made, facts = goes_on(checkpoint, tmp_path, rows=other_validation)

    assert before["best_global_step"] == 5
    assert made.state.best_global_step == 10
    assert "rows of validation 10 (before: 15)" in facts["resume_mismatches"][0]


@pytest.mark.parametrize(
    ("changed", "names"), [({"optim": "sgd"}, "--optim"), ({}, "trained parameters, type of the weights")]
)
def test_what_does_not_fit_the_checkpoint_is_refused_whatever_is_allowed(checkpoint, changed, names):
    other = trainer(checkpoint.parent, **{**OPTIONS, "allow_resume_mismatch": True, **changed})
    if not changed:
        other.model = other.model.to(torch.bfloat16).requires_grad_(False)
        other.model.classifier.requires_grad_()

    with pytest.raises(InputError) as raised:
        other.train(resume_from_checkpoint=str(checkpoint))

    assert (
        f"; --allow_resume_mismatch does not help: weights and optimizer fit the same {names}; or begin a new run"
        in str(raised.value)
    )


def test_another_number_of_processes_is_named(checkpoint, monkeypatch):
    other = trainer(checkpoint.parent, **OPTIONS, per_device_train_batch_size=4)
    monkeypatch.setattr(type(other.args), "world_size", 2)

    with pytest.raises(InputError, match=re.escape(": processes 2 (before: 1). Give what that run was given; go on")):
        other.train(resume_from_checkpoint=str(checkpoint))


def test_of_a_run_that_was_moved_the_best_checkpoint_is_found_beside_the_last(tmp_path):
    stopped = trainer(
        tmp_path / "run", **OPTIONS | {"num_train_epochs": 3, "learning_rate": 1e-9, "save_total_limit": 2}
    )
    stopped.add_callback(StopsAt(11))
    stopped.train()
    assert stopped.state.best_model_checkpoint == str(tmp_path / "run" / "checkpoint-5")
    (tmp_path / "run").rename(tmp_path / "moved")

    resumed = trainer(
        tmp_path / "moved", **OPTIONS | {"num_train_epochs": 3, "learning_rate": 1e-9, "save_total_limit": 2}
    )
    resumed.train(resume_from_checkpoint=True)

    assert resumed.state.best_model_checkpoint == str(tmp_path / "moved" / "checkpoint-5")


ENDED = {
    "amid an epoch": {
        "max_steps": 8,
        "eval_strategy": "steps",
        "save_strategy": "steps",
        "eval_steps": 4,
        "save_steps": 4,
    },
    "at the end of an epoch": {},
    "stopped early": {
        **{
            "num_train_epochs": 6,
            "learning_rate": 1e-12,
            "early_stopping_patience": 1,
            "eval_steps": 2,
            "save_steps": 2,
        },
        **{"eval_strategy": "steps", "save_strategy": "steps"},
    },
}


@pytest.mark.parametrize("ended", ENDED)
def test_from_the_checkpoint_at_which_training_ended_no_step_is_taken(ended, tmp_path):
    options = {**OPTIONS, "lr_scheduler_type": "constant", **ENDED[ended]}
    finished = trainer(tmp_path / "run", **options)
    finished.train()
    steps, best = finished.state.global_step, finished.state.best_global_step
    assert steps == {"amid an epoch": 8, "at the end of an epoch": 10, "stopped early": 4}[ended]

    again = trainer(tmp_path / "run", **options)
    again.train(resume_from_checkpoint=str(tmp_path / "run" / f"checkpoint-{steps}"))

    assert (again.state.global_step, again.state.best_global_step) == (steps, best)
    assert len(again.evaluation_lines.history) == len(finished.evaluation_lines.history)
    for ours, plain in zip(again.model.parameters(), finished.model.parameters(), strict=True):
        assert torch.equal(ours, plain)


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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "found a JSON list, expected an object"),
        (None, "found a JSON NoneType, expected an object"),
        ({"global_step": "x"}, "field global_step: found 'x', expected a valid integer"),
        ({"global_step": -5}, "field global_step: found -5, expected greater than or equal to 0"),
        ({"log_history": 5}, "field log_history: found 5, expected a valid list"),
        ({"best_metric": "x"}, "field best_metric: found 'x', expected a valid number"),
        (
            {"stateful_callbacks": {"llmtune": 3}},
            "field stateful_callbacks.llmtune: found 3, expected a valid object; ",
        ),
        ({"stateful_callbacks": {"llmtune": {}}}, "no field stateful_callbacks.llmtune.run, which is required"),
        ({"stateful_callbacks": {"TrainerControl": 7}}, "field stateful_callbacks.TrainerControl.*: found 7"),
        ({"extra": 1}, "holds fields that this transformers does not know .*'extra'.*; name another checkpoint, or"),
    ],
)
def test_a_trainer_state_that_another_changed_is_refused_by_its_field(content, message, checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint, tmp_path / "checkpoint-5")
    state = json.loads((folder / "trainer_state.json").read_text())
    changed = {**state, **content} if isinstance(content, dict) else content
    (folder / "trainer_state.json").write_text(json.dumps(changed))
    where = re.escape(f"--resume_from_checkpoint {folder / 'trainer_state.json'}: ")

    with pytest.raises(InputError, match=f"^{where}{message}"):
        trainer(tmp_path / "run", **OPTIONS).train(resume_from_checkpoint=str(folder))
