"""An effective batch is computed whole where it fits; what does not fit says what would."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import tests.training.run_on_processes as rp
from llmtune.data.padding import PaddingCollator
from llmtune.errors import InputError
from llmtune.tasks.losses import ClassificationLoss
from llmtune.training import whole_batches
from llmtune.training.trainer import FineTuningTrainer
from llmtune.training.whole_batches import in_fewest_parts, out_of_memory, with_smaller_batches


def trainer(folder: Any, **options: Any) -> FineTuningTrainer:
    return FineTuningTrainer(
        model=rp.tiny_model("bert", lora=False),
        args=rp.arguments(folder, **options),
        train_dataset=rp.rows(40),
        data_collator=PaddingCollator(rp.tiny_tokenizer()),
        compute_loss_func=ClassificationLoss(),
    )


@pytest.mark.parametrize(
    ("tokens", "options", "computed"),
    [
        (10_000, {}, (16, 1)),
        (200, {}, (8, 2)),  # 16 rows of 14 tokens
        (1, {}, (4, 4)),
        (10_000, {"padding_free": False}, (4, 4)),
    ],
)
def test_on_a_cpu_parts_are_as_few_as_its_caches_hold(tokens, options, computed, tmp_path, monkeypatch):
    monkeypatch.setattr(whole_batches, "CPU_TOKENS", tokens)
    made = trainer(tmp_path, per_device_train_batch_size=4, gradient_accumulation_steps=4, **options)

    with in_fewest_parts(made):
        assert (made.args.per_device_train_batch_size, made.args.gradient_accumulation_steps) == computed
        assert made.get_total_train_batch_size(made.args) == 16

    assert (made.args.per_device_train_batch_size, made.args.gradient_accumulation_steps) == (4, 4)


def test_training_sees_the_same_updates_however_it_is_cut(tmp_path, monkeypatch):
    seen = []
    for tokens in (1, 10_000):
        monkeypatch.setattr(whole_batches, "CPU_TOKENS", tokens)
        made = trainer(tmp_path / str(tokens), per_device_train_batch_size=4, gradient_accumulation_steps=4)
        seen.append(rp.logged_updates(made))

    assert len(seen[0]) == 3
    np.testing.assert_allclose(seen[0], seen[1], rtol=1e-5)


@pytest.fixture
def small_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    """A trainer whose device holds so many rows."""

    def made(rows: int) -> tuple[Any, list[int]]:
        tried = []

        def fits(_: Any, batch: dict[str, torch.Tensor]) -> bool:
            tried.append(len(batch["input_ids"]))
            return tried[-1] <= rows

        monkeypatch.setattr(whole_batches, "_fits", fits)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Card 9000")
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (0, 8 << 30))
        monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
        return trainer(tmp_path), tried

    return made


def test_what_does_not_fit_is_halved_until_it_does(small_gpu):
    made, tried = small_gpu(rows=5)

    assert whole_batches._fewest_that_fit(made, 16, [1, 2, 4, 8, 16]) == 4
    assert tried == [16, 8, 4]


def test_a_row_that_does_not_fit_alone_ends_in_one_message(small_gpu):
    made, _ = small_gpu(rows=0)

    with pytest.raises(
        InputError, match=r"Card 9000: out of memory, 8 GiB, with one row of 34 tokens at once; lower --"
    ):
        whole_batches._fewest_that_fit(made, 4, [1, 2, 4])


def test_memory_that_ends_in_training_says_what_would_fit():
    args = SimpleNamespace(per_device_train_batch_size=32, gradient_accumulation_steps=1)
    running = SimpleNamespace(args=args, state=SimpleNamespace(global_step=17))
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 79 GiB")

    assert str(out_of_memory(running, error)) == (
        "CUDA out of memory, after 17 optimizer steps of 32 rows; give --per_device_train_batch_size 16 "
        "--gradient_accumulation_steps 2, --activation_checkpointing or a lower --max_length"
    )


def test_an_error_of_memory_ends_a_run_in_that_message(tmp_path, monkeypatch):
    made = trainer(tmp_path, per_device_train_batch_size=4)

    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")

    monkeypatch.setattr(transformers.Trainer, "training_step", full)

    with pytest.raises(InputError, match=r"CUDA out of memory, after 0 optimizer steps of 4 rows; give --per_device"):
        made.train()


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A device that scores at most five rows of the longest at once; the rows of each batch that it was given."""
    plain, asked = transformers.Trainer.prediction_step, []

    def step(self: Any, model: Any, inputs: dict[str, torch.Tensor], *args: Any, **kwargs: Any) -> Any:
        asked.append(inputs["input_ids"].shape[0])
        if inputs["input_ids"].numel() > 5 * 34:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 79 GiB")
        return plain(self, model, inputs, *args, **kwargs)

    monkeypatch.setattr(transformers.Trainer, "prediction_step", step)
    return asked


def test_an_evaluation_that_runs_out_of_memory_begins_again_in_half_as_large_batches(tmp_path, small_memory, capsys):
    made = trainer(tmp_path, per_device_eval_batch_size=16)
    rows = rp.rows(40)

    output = made.predict(rows)

    assert small_memory[:3] == [16, 8, 4], "then batches of 4, and more of shorter rows"
    assert len(output.predictions) == 40
    printed = " ".join(capsys.readouterr().err.split())
    assert (
        "CUDA out of memory: the evaluation begins again in batches of 8 rows (--per_device_eval_batch_size 8)"
        in printed
    )
    alone = trainer(tmp_path / "alone", per_device_eval_batch_size=4).predict(rows)
    np.testing.assert_allclose(output.predictions, alone.predictions, atol=1e-6)


@pytest.mark.parametrize(
    ("rows", "processes", "remedy"),
    [(1, 1, "take a lower --max_length"), (8, 2, "give --per_device_eval_batch_size 4, or a lower --max_length")],
)
def test_an_evaluation_that_cannot_be_cut_further_says_what_to_do(rows, processes, remedy):
    running = SimpleNamespace(args=SimpleNamespace(per_device_eval_batch_size=rows, world_size=processes))
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")

    with pytest.raises(InputError, match=f"CUDA out of memory, in an evaluation in batches of {rows}; {remedy}"):
        with_smaller_batches(running, None, error)
