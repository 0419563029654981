"""The Trainer on one process: what precision trains and evaluates in, NaN outputs, stopping, and what is printed."""

import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import peft
import pytest
import scipy.special
import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from llmtune.arguments import TrainingArguments
from llmtune.finish.write_run import training_facts
from llmtune.inference import inference_trainer, predict
from llmtune.metrics import compute_metrics, score_predictions
from llmtune.tasks.losses import ClassificationLoss
from llmtune.tasks.task import Encoded
from llmtune.tasks.text_classification.task import TextClassification
from llmtune.training.callbacks import EvaluationLogger
from llmtune.training.hardware import configure_cpu
from llmtune.training.trainer import FineTuningTrainer

TASK = TextClassification(("ham", "spam"), "spam", max_length=64)


def tokenizer() -> Any:
    words = Tokenizer(WordLevel({"[PAD]": 0, **{f"w{i}": i for i in range(1, 60)}}))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]")


def rows(n: int, *, seed: int = 0) -> datasets.Dataset:
    random = np.random.default_rng(seed)
    labels = [int(i % 3 == 0) for i in range(n)]
    ids = [random.integers(1 + 30 * label, 30 + 30 * label, random.integers(2, 20)).tolist() for label in labels]
    return datasets.Dataset.from_dict(
        {"input_ids": ids, "attention_mask": [[1] * len(row) for row in ids], "labels": labels}
    )


def encoded(data: datasets.Dataset) -> Encoded:
    return Encoded(data, data, "test", tokenizer())


def trainer(folder: Path, n: int = 40, **options: Any) -> FineTuningTrainer:
    transformers.set_seed(0)
    lines = options.pop("evaluation_lines", None)
    hub = compute_metrics("classification", label_names=TASK.label_names)
    config = transformers.BertConfig(
        vocab_size=60, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48
    )
    defaults = {"per_device_train_batch_size": 8, "learning_rate": 3e-3, "use_cpu": True, "num_train_epochs": 2}
    return FineTuningTrainer(
        model=options.pop("model", None) or transformers.BertForSequenceClassification(config),
        args=TrainingArguments(str(folder), **{"metric_for_best_model": "f1", **defaults, **options}),
        train_dataset=rows(n),
        eval_dataset=rows(15, seed=1),
        data_collator=transformers.DataCollatorWithPadding(tokenizer()),
        compute_loss_func=ClassificationLoss(),
        compute_metrics=hub,
        preprocess_logits_for_metrics=hub.preprocess_logits_for_metrics,
        evaluation_lines=lines or EvaluationLogger(("f1",), lambda: (hub.confusion_matrix, TASK.label_names)),
    )


class StopsAt(transformers.TrainerCallback):
    """Ends training after an update, as a kill would, without a checkpoint there."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_training_stop = state.global_step == self.step
        control.should_save = False


def plain_logits(model: Any, data: datasets.Dataset) -> np.ndarray:
    """Row by row, without a FineTuningTrainer, a batch or padding."""
    model = model.float().eval()
    with torch.no_grad():
        each = [model(input_ids=torch.tensor([row["input_ids"]])).logits[0] for row in data]
    return torch.stack(each).numpy()


def test_training_in_bf16_on_a_cpu_evaluates_in_fp32(tmp_path):
    seen = []
    made = trainer(tmp_path, precision="bf16")
    made.model.bert.encoder.layer[0].attention.self.query.register_forward_hook(
        lambda module, inputs, output: seen.append((module.training, output.dtype))
    )

    made.train()
    logits = predict(made, TASK, encoded(rows(23)))

    assert set(seen) == {(True, torch.bfloat16), (False, torch.float32)}
    assert {parameter.dtype for parameter in made.model.parameters()} == {torch.float32}
    expected = torch.tensor(plain_logits(made.model, rows(23))).log_softmax(-1)  # the hub reduces logits on the device
    np.testing.assert_allclose(logits, expected, atol=1e-6)


def test_evaluation_leaves_out_the_autocast_that_accelerate_puts_around_a_model_on_a_gpu(tmp_path):
    made = trainer(tmp_path, precision="fp32")
    expected = predict(made, TASK, encoded(rows(23)))
    plain, calls = made.model.forward, []

    def around(*args, **kwargs):
        calls.append(args)
        with torch.autocast("cpu", torch.bfloat16):
            return plain(*args, **kwargs)

    made.model._original_forward, made.model.forward = plain, around

    np.testing.assert_array_equal(predict(made, TASK, encoded(rows(23))), expected)

    made.compute_loss(made.model, made._prepare_inputs(made.data_collator([rows(1)[0]])))
    assert len(calls) == 1, "training keeps it"


def test_the_facts_of_a_run_tell_the_arithmetic_of_its_weights(tmp_path):
    made = trainer(tmp_path, precision="fp32")
    assert made.arithmetic == "training in fp32, evaluation in fp32"

    made.model.to(torch.bfloat16)

    assert training_facts(made)["arithmetic"] == "training in bf16, evaluation in bf16, the weights in bfloat16"


@pytest.mark.parametrize("use_reentrant", [False, True])
@pytest.mark.parametrize("with_lora", [False, True])
def test_the_backward_pass_computes_again_what_the_forward_pass_computed(tmp_path, with_lora, use_reentrant):
    """Of short rows in bfloat16 on a CPU, whose attention is not fused: the kernels of both passes are the same."""
    config = transformers.LlamaConfig(
        vocab_size=60, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48, pad_token_id=0
    )
    gradients = []
    for checkpointing in (False, True):
        transformers.set_seed(0)
        model: Any = transformers.LlamaForSequenceClassification(config)
        if with_lora:
            lora = peft.LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False)
            model = peft.get_peft_model(model, lora)
        kwargs = {"use_reentrant": use_reentrant} if checkpointing else None
        made = trainer(
            tmp_path,
            model=model,
            precision="bf16",
            activation_checkpointing=checkpointing,
            activation_checkpointing_kwargs=kwargs,
            max_steps=1,
            logging_steps=1,
            max_grad_norm=1e9,
        )
        made.train()
        gradients.append(next(log["grad_norm"] for log in made.state.log_history if "grad_norm" in log))

    assert gradients[0] > 0
    assert gradients[0] == pytest.approx(gradients[1], rel=1e-5)


@pytest.mark.parametrize(("length", "is_fused"), [(20, False), (200, True)])
def test_attention_of_short_rows_is_not_fused_in_bf16_on_a_cpu(tmp_path, length, is_fused):
    one, seen = trainer(tmp_path, precision="bf16"), []
    one.model.bert.encoder.layer[0].register_forward_pre_hook(
        lambda *_: seen.append(torch.backends.cuda.flash_sdp_enabled())
    )
    batch = {"input_ids": torch.ones(2, length, dtype=torch.long), "labels": torch.tensor([0, 1])}

    one.training_step(one.model.train(), {**batch, "attention_mask": torch.ones(2, length, dtype=torch.long)}, 2)

    assert seen == [is_fused]
    assert torch.backends.cuda.flash_sdp_enabled(), "what was set for the step is set back"


def test_fp32_training_computes_in_fp32(tmp_path):
    seen = set()
    made = trainer(tmp_path, precision="fp32", max_steps=2)
    made.model.classifier.register_forward_hook(lambda module, inputs, output: seen.add(output.dtype))

    made.train()

    assert seen == {torch.float32}


def test_a_trainer_for_inference_gives_the_plain_log_probabilities_and_leaves_nothing(tmp_path):
    model = trainer(tmp_path / "unused").model

    predicting = inference_trainer(model, tokenizer(), TASK, output_dir=str(tmp_path / "out"), batch_size=4)
    outputs = predict(predicting, TASK, encoded(rows(23)))

    plain = scipy.special.log_softmax(plain_logits(model, rows(23)), axis=1)
    np.testing.assert_allclose(outputs, plain, atol=1e-6)
    assert not list((tmp_path / "out").rglob("*.*"))


def test_outputs_that_are_not_finite_arrive_in_the_table_and_are_counted(tmp_path):
    class Broken(transformers.BertForSequenceClassification):
        """Says NaN for texts that begin with token 7, infinity for those with 8."""

        def forward(self, input_ids: Any = None, **inputs: Any) -> Any:
            output = super().forward(input_ids=input_ids, **inputs)
            output.logits[input_ids[:, 0] == 7] = float("nan")
            output.logits[input_ids[:, 0] == 8, 1] = float("inf")
            return output

    config = transformers.BertConfig(
        vocab_size=60, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48
    )
    texts = [[5, 6], [7, 9, 9], [5], [8, 5], [7]]
    tokens = datasets.Dataset.from_dict({"input_ids": texts, "attention_mask": [[1] * len(t) for t in texts]})
    data = datasets.Dataset.from_dict({"text": list("abcde"), "label": ["ham", "spam"] * 2 + ["ham"]})
    predicting = inference_trainer(Broken(config), tokenizer(), TASK, output_dir=str(tmp_path), batch_size=2)

    inputs = Encoded(data, tokens, "test", tokenizer())
    table = TASK.tabulate(predict(predicting, TASK, inputs), inputs)

    assert np.isnan(table.probabilities()).all(axis=1).tolist() == [False, True, False, True, True]
    scores = score_predictions(table)
    assert len(table) == 5
    assert scores["log_loss"].value is None
    assert scores["log_loss"].reason.startswith("3 of 5 rows")
    assert table.column("prediction")[1] == "ham"


def test_a_nan_loss_is_shown_in_the_log(tmp_path):
    made = trainer(tmp_path, max_steps=2, logging_steps=1, eval_strategy="no", save_strategy="no", max_grad_norm=1.0)
    with torch.no_grad():
        made.model.classifier.weight.fill_(float("nan"))

    made.train()

    assert all(np.isnan(float(log["loss"])) for log in made.state.log_history if "loss" in log)


def test_an_evaluation_is_one_line_with_its_confusions_and_is_kept(tmp_path, capsys):
    made = trainer(tmp_path)

    made.train()

    said = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("step ")]
    assert [line.split("  ")[0] for line in said] == ["epoch 1.00", "epoch 2.00"]
    assert "f1 " in said[0]
    assert "predicted as" in said[0] or "no confusions" in said[0]
    for entry, step in zip(made.evaluation_lines.history, (5, 10), strict=True):
        assert entry["step"] == step
        assert np.array(entry["confusion_matrix"]).sum() == 15
        assert {"eval_f1", "eval_log_loss", "eval_nonfinite_rows"} <= set(entry)


def test_an_evaluation_without_the_metric_picks_no_checkpoint_and_loses_no_epoch(tmp_path):
    made = trainer(tmp_path, evaluation_lines=EvaluationLogger())
    scores = iter([{}, {"f1": 0.4}, {}])
    made.compute_metrics = lambda outputs: next(scores, {})

    made.train()

    assert (made.state.global_step, made.state.best_global_step, made.state.best_metric) == (10, 10, 0.4)


def test_the_best_checkpoint_is_loaded_at_the_end(tmp_path):
    # So large a step ruins the model after it has learned.
    made = trainer(tmp_path, num_train_epochs=4, lr_scheduler_type="constant", learning_rate=2e-2, precision="fp32")

    made.train()

    evaluations = [entry["eval_f1"] for entry in made.evaluation_lines.history]
    assert made.state.best_metric == max(evaluations)
    assert made.evaluate()["eval_f1"] == pytest.approx(max(evaluations))


def test_early_stopping_remembers_its_patience_on_resume(tmp_path):
    still = {"learning_rate": 0.0, "early_stopping_patience": 4, "precision": "fp32", "save_total_limit": 3}
    through = trainer(tmp_path / "through", num_train_epochs=10, **still)
    through.train()
    stopped = trainer(tmp_path / "cut", num_train_epochs=10, **still)
    stopped.add_callback(StopsAt(15))
    stopped.train()

    resumed = trainer(tmp_path / "cut", num_train_epochs=10, **still)
    resumed.train(resume_from_checkpoint=str(tmp_path / "cut" / "checkpoint-15"))

    assert through.state.epoch < 10
    assert resumed.state.epoch == through.state.epoch


def test_a_resumed_run_tells_what_the_whole_run_took(tmp_path):
    options = {"num_train_epochs": 4, "precision": "fp32", "save_total_limit": 4, "learning_rate": 1e-2}
    through = trainer(tmp_path / "through", **options)
    through.train()
    stopped = trainer(tmp_path / "cut", **options)
    stopped.add_callback(StopsAt(12))  # two updates after the second epoch's checkpoint: they are done again
    stopped.train()
    seconds_before = json.loads((tmp_path / "cut" / "checkpoint-10" / "trainer_state.json").read_text())[
        "stateful_callbacks"
    ]["llmtune"]["train_seconds"]

    resumed = trainer(tmp_path / "cut", **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "cut" / "checkpoint-10"))

    assert resumed.tokens_trained() == through.tokens_trained()
    facts, expected = training_facts(resumed), training_facts(through)
    assert facts["train_seconds"] > seconds_before > 0
    assert resumed.evaluation_seconds > stopped.evaluation_seconds / 2
    assert facts["tokens_per_second"] == pytest.approx(facts["real_tokens"] / facts["train_seconds"], rel=0.01)
    assert [one["step"] for one in facts["evaluations"]] == [5, 10, 15, 20]
    for one, other in zip(facts["evaluations"], expected["evaluations"], strict=True):
        assert one["confusion_matrix"] == other["confusion_matrix"]
        assert one["curves"]["validation"] == pytest.approx(other["curves"]["validation"], rel=1e-4)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (3, "2 of 10 optimizer steps, before the first checkpoint; start again with --output_dir {folder} --overwrite"),
        (
            7,
            "6 of 10 optimizer steps; {folder} keeps its checkpoints; the same command with --output_dir {folder} "
            "--resume_from_checkpoint {folder}/checkpoint-5 continues from there",
        ),
    ],
)
def test_ctrl_c_says_what_is_kept_and_how_to_go_on(tmp_path, step, said):
    class Interrupts(transformers.TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == step - 1:
                raise KeyboardInterrupt

    made = trainer(tmp_path)
    made.add_callback(Interrupts())

    with pytest.raises(KeyboardInterrupt) as interrupted:
        made.train()

    assert str(interrupted.value) == "training stopped after " + said.format(folder=tmp_path)


@pytest.mark.parametrize(("asked", "cores"), [(1, 1), (2, 2)])
def test_threads_are_as_asked(asked, cores):
    before = torch.get_num_threads()

    assert configure_cpu(asked) == torch.get_num_threads() == cores

    torch.set_num_threads(before)


def test_threads_default_to_the_cores_of_a_process(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))

    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert configure_cpu(None) == 2
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "16")
    assert configure_cpu(None) == 1

    torch.set_num_threads(before)
