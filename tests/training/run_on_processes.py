"""Trains, resumes and predicts with tiny models on however many processes started it, and writes what it saw as JSON.

    python run_on_processes.py OUT.json FOLDER
    accelerate launch --multi_gpu --num_processes 2 run_on_processes.py OUT.json FOLDER

Run by test_processes.py in both ways: starting a process costs ten seconds, so that one launch runs all combinations.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
import transformers
from transformers import DataCollatorWithPadding, PreTrainedTokenizerFast, set_seed

from llmtune.arguments import TrainingArguments
from llmtune.imports import imports_done
from llmtune.models.lstm import LstmConfig
from llmtune.tasks import text_windows
from llmtune.tasks.losses import ClassificationLoss, RegressionLoss
from llmtune.tasks.multi_label_classification.loss import LabelSetLoss
from llmtune.tasks.question_answering.loss import SpanLoss
from llmtune.tasks.text_windows import WindowCollator, Windows
from llmtune.training.trainer import FineTuningTrainer

EFFECTIVE_BATCH = 8
SPLITS = {1: ((8, 1), (4, 2), (2, 4)), 2: ((4, 1), (2, 2), (1, 4))}  # processes → (micro-batch, accumulation)
NO_DROPOUT = {
    "bert": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    "llama": {},
    "lstm": {"dropout": 0.0},
}
WINDOWS_AT_ONCE = text_windows.TRAINED_AT_ONCE
INFLATED = ("bert", "llama")  # by the stock Trainer
LOSSES = {
    "plain": ClassificationLoss(),
    "weights": ClassificationLoss(class_weights=(0.5, 4.0)),
    "focal, weights": ClassificationLoss("focal", (0.5, 4.0)),
    "smoothing": ClassificationLoss(label_smoothing=0.1),
    "order": ClassificationLoss("cumulative"),
    "squared": RegressionLoss(),
    "huber": RegressionLoss("huber", 0.5),
}
OF_NUMBERS = ("squared", "huber")
# model_type, LoRA, loss, rows. 21 rows end in 8 + 8 + 5; 17 in 8 + 8 + 1, where the second process has no row.
COMBINATIONS = [
    *((kind, lora, loss, 21) for kind in INFLATED for lora in (False, True) for loss in ("plain", "weights")),
    ("bert", False, "weights", 17),
    ("llama", True, "plain", 17),
    ("bert", False, "focal, weights", 21),
    ("bert", False, "smoothing", 21),
    ("lstm", False, "weights", 21),
    ("lstm", False, "plain", 17),
    ("bert", False, "order", 21),
    ("bert", False, "squared", 17),
    ("llama", True, "huber", 21),
]


def rows(n: int, *, numbers: bool = False) -> datasets.Dataset:
    """Texts of 3 to 40 random tokens; a third has class 1, and those are longer. Or each has a number of its own."""
    random = np.random.default_rng(0)
    labels = [int(i % 3 == 0) for i in range(n)]
    lengths = [int(random.integers(3, 20) * (1 + label)) for label in labels]
    texts = [random.integers(4, 60, length).tolist() for length in lengths]
    labels = random.normal(size=n).tolist() if numbers else labels
    return datasets.Dataset.from_dict(
        {"input_ids": texts, "attention_mask": [[1] * n for n in lengths], "labels": labels}
    )


def tiny_model(
    model_type: str,
    *,
    lora: bool,
    auto_model: Any = transformers.AutoModelForSequenceClassification,
    num_labels: int = 2,
) -> Any:
    """32 wide, two layers, float32, no dropout, the same weights in every process."""
    set_seed(0)
    config = transformers.AutoConfig.for_model(
        model_type,
        vocab_size=60,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        num_labels=num_labels,
        pad_token_id=0,
        **NO_DROPOUT[model_type],
    )
    model = auto_model.from_config(config)
    if not lora:
        return model
    import peft

    targets = ["query", "value"] if model_type == "bert" else ["q_proj", "v_proj"]
    adapter = peft.LoraConfig(r=4, lora_dropout=0.0, target_modules=targets, task_type="SEQ_CLS")
    return peft.get_peft_model(model, adapter)


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Of use only for padding with id 0."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    words = Tokenizer(WordLevel({"[PAD]": 0, **{f"w{i}": i for i in range(1, 60)}}))
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]")


def arguments(folder: Path, **options: Any) -> TrainingArguments:
    """Of one epoch on the CPU in float32 that keeps nothing."""
    defaults: dict[str, Any] = {
        "num_train_epochs": 1,
        # Plain SGD: Adam's first steps turn the last digit of a gradient near 0 into a whole step.
        "optim": "sgd",
        "learning_rate": 0.05,
        "lr_scheduler_type": "constant",
        "max_grad_norm": 1e9,
        "logging_steps": 1,
        "eval_strategy": "no",
        "save_strategy": "no",
        "precision": "fp32",
        "use_cpu": True,
        "report_to": "none",
    }
    return TrainingArguments(output_dir=str(folder), **{**defaults, **options})


def logged_updates(trainer: transformers.Trainer) -> list[tuple[float, float]]:
    """Trains, and returns (loss, gradient norm) of each update."""
    trainer.train()
    return [(log["loss"], log["grad_norm"]) for log in trainer.state.log_history if "grad_norm" in log]


def exact(processes: int, folder: Path) -> Iterator[dict[str, Any]]:
    """One record a combination and split: what our Trainer logged."""
    for model_type, lora, loss, n in COMBINATIONS:
        for micro, accumulation in SPLITS[processes]:
            trainer = FineTuningTrainer(
                model=tiny_model(model_type, lora=lora, num_labels=1 if loss in OF_NUMBERS else 2),
                args=arguments(folder, per_device_train_batch_size=micro, gradient_accumulation_steps=accumulation),
                train_dataset=rows(n, numbers=loss in OF_NUMBERS),
                data_collator=DataCollatorWithPadding(tiny_tokenizer()),
                compute_loss_func=LOSSES[loss],
            )
            yield {
                "case": f"{model_type}{', lora' * lora}, {loss}, {n} rows",
                "split": f"{processes} x {micro} x {accumulation}",
                "updates": logged_updates(trainer),
                "tokens": trainer.tokens_trained(),
            }


def rows_of_windows(n: int) -> datasets.Dataset:
    """The texts of `rows` in windows of 8 tokens that share 2."""
    texts = rows(n)
    cut = [[ids[begin : begin + 8] for begin in range(0, max(1, len(ids) - 2), 6)] for ids in texts["input_ids"]]
    masks = [[[1] * len(window) for window in windows] for windows in cut]
    return datasets.Dataset.from_dict({"input_ids": cut, "attention_mask": masks, "labels": texts["labels"]})


def windows(processes: int, folder: Path) -> Iterator[dict[str, Any]]:
    """As `exact`, of rows that are read in windows, their logits pooled; then what is predicted of them."""
    random = np.random.default_rng(3)
    for model_type, pooling, n, answers in (
        ("bert", "mean", 21, "label"),
        ("bert", "max", 17, "label"),
        ("llama", "max", 21, "label"),
        ("lstm", "mean", 17, "label"),
        ("bert", "mean", 17, "labels"),
        ("bert", "max", 17, "score"),
    ):
        dataset = rows_of_windows(n)
        loss: Any = LOSSES["weights"]
        if answers != "label":
            labels = random.normal(size=n) if answers == "score" else (random.random((n, 2)) < 0.4).astype(float)
            dataset = dataset.remove_columns("labels").add_column("labels", labels.tolist())
            loss = RegressionLoss() if answers == "score" else LabelSetLoss(loss)
        text_windows.TRAINED_AT_ONCE = 3 if pooling == "max" else WINDOWS_AT_ONCE  # of some rows in pieces
        for micro, accumulation in SPLITS[processes]:
            trainer = FineTuningTrainer(
                model=tiny_model(model_type, lora=False, num_labels=1 if answers == "score" else 2),
                args=arguments(
                    folder,
                    per_device_train_batch_size=micro,
                    gradient_accumulation_steps=accumulation,
                    per_device_eval_batch_size=4,
                ),
                train_dataset=dataset,
                data_collator=WindowCollator(tiny_tokenizer(), Windows(2, pooling)),
                compute_loss_func=loss,
            )
            yield {
                "case": f"{model_type}, {pooling}, {answers}, {n} rows",
                "split": f"{processes} x {micro} x {accumulation}",
                "updates": logged_updates(trainer),
                "tokens": trainer.tokens_trained(),
            }
        yield {
            "case": f"{model_type}, {pooling}, {answers}, {n} rows",
            "logits": trainer.predict(dataset).predictions.tolist(),
            "without labels": trainer.predict(dataset.remove_columns("labels")).predictions.tolist(),
            "plain": plain_pooled(trainer.model, dataset, pooling),
        }


def plain_pooled(model: Any, dataset: datasets.Dataset, pooling: str) -> list[list[float]]:
    """The pooled logits of each row, its windows given to the model one by one."""
    pooled = []
    for row in dataset["input_ids"]:
        with torch.no_grad():
            windows = [torch.tensor([window], device=model.device) for window in row]
            logits = torch.cat([model.eval()(input_ids=window).logits for window in windows])
        pooled.append((logits.mean(0) if pooling == "mean" else logits.max(0).values).tolist())
    return pooled


def spans(processes: int, folder: Path) -> Iterator[dict[str, Any]]:
    """As `exact`, of heads that mark where an answer begins and ends."""
    random = np.random.default_rng(1)
    for model_type, n in (("bert", 21), ("bert", 17), ("llama", 21)):
        windows = rows(n).remove_columns("labels")
        lengths = [len(ids) for ids in windows["input_ids"]]
        answers = [sorted(random.integers(1, length, 2).tolist()) for length in lengths]
        labels = [[*answer, 1, length] for answer, length in zip(answers, lengths, strict=True)]
        for micro, accumulation in SPLITS[processes]:
            trainer = FineTuningTrainer(
                model=tiny_model(model_type, lora=False, auto_model=transformers.AutoModelForQuestionAnswering),
                args=arguments(folder, per_device_train_batch_size=micro, gradient_accumulation_steps=accumulation),
                train_dataset=windows.add_column("labels", labels),
                data_collator=DataCollatorWithPadding(tiny_tokenizer()),
                compute_loss_func=SpanLoss(),
            )
            yield {
                "case": f"{model_type}, {n} rows",
                "split": f"{processes} x {micro} x {accumulation}",
                "updates": logged_updates(trainer),
            }


def several_labels(processes: int, folder: Path) -> Iterator[dict[str, Any]]:
    """As `exact`, of rows with several labels each, some with none."""
    random = np.random.default_rng(2)
    for model_type, lora, loss, n in (
        ("bert", False, "plain", 21),
        ("bert", True, "weights", 17),
        ("llama", False, "focal, weights", 21),
        ("lstm", False, "smoothing", 17),
    ):
        labels = (random.random((n, 2)) < 0.4).astype(float).tolist()
        for micro, accumulation in SPLITS[processes]:
            trainer = FineTuningTrainer(
                model=tiny_model(model_type, lora=lora),
                args=arguments(folder, per_device_train_batch_size=micro, gradient_accumulation_steps=accumulation),
                train_dataset=rows(n).remove_columns("labels").add_column("labels", labels),
                data_collator=DataCollatorWithPadding(tiny_tokenizer()),
                compute_loss_func=LabelSetLoss(LOSSES[loss]),
            )
            yield {
                "case": f"{model_type}{', lora' * lora}, {loss}, {n} rows",
                "split": f"{processes} x {micro} x {accumulation}",
                "updates": logged_updates(trainer),
            }


def stock(processes: int, folder: Path) -> Iterator[dict[str, Any]]:
    """What the stock Trainer logs with the model's own loss, on one update in file order."""
    for model_type in INFLATED:
        for micro, accumulation in SPLITS[processes]:
            trainer = transformers.Trainer(
                model=tiny_model(model_type, lora=False),
                args=arguments(
                    folder,
                    per_device_train_batch_size=micro,
                    gradient_accumulation_steps=accumulation,
                    train_sampling_strategy="sequential",
                    disable_tqdm=True,
                ),
                train_dataset=rows(EFFECTIVE_BATCH),
                data_collator=DataCollatorWithPadding(tiny_tokenizer()),
            )
            trainer.remove_callback(transformers.PrinterCallback)
            split = f"{processes} x {micro} x {accumulation}"
            yield {"case": model_type, "split": split, "updates": logged_updates(trainer)}


def predicted(processes: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Logits and labels that `predict` returns, for numbers of rows that no batch divides."""
    for n in (23, 16, 3, 1):
        trainer = FineTuningTrainer(
            model=tiny_model("bert", lora=False),
            args=arguments(folder, per_device_eval_batch_size=4),
            data_collator=DataCollatorWithPadding(tiny_tokenizer()),
        )
        output = trainer.predict(rows(n))
        without_labels = trainer.predict(rows(n).remove_columns("labels"))
        yield {
            "rows": n,
            "logits": output.predictions.tolist(),
            "labels": output.label_ids.tolist(),
            "without labels": without_labels.predictions.tolist(),
        }


def resumed(processes: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Weights after two epochs, with dropout, uninterrupted and resumed from the middle of the second epoch."""
    options: dict[str, Any] = {
        "num_train_epochs": 2,
        "per_device_train_batch_size": EFFECTIVE_BATCH // 2 // processes,
        "gradient_accumulation_steps": 2,
        "save_strategy": "steps",
        "save_steps": 4,
        "save_total_limit": 2,
        "optim": "adamw_torch",
        "learning_rate": 0.01,
    }
    sizes = {"vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 2, "num_labels": 2, "pad_token_id": 0}
    configs = {
        "bert": transformers.BertConfig(**sizes, num_attention_heads=2, intermediate_size=48),
        "lstm": LstmConfig(**sizes, embedding_size=16),
    }
    for model_type, config in configs.items():
        for checkpoint in (None, "checkpoint-4"):
            set_seed(0)
            trainer = FineTuningTrainer(
                model=transformers.AutoModelForSequenceClassification.from_config(config),
                args=arguments(folder / f"resumed-{model_type}", **options),
                train_dataset=rows(21),
                data_collator=DataCollatorWithPadding(tiny_tokenizer()),
                compute_loss_func=LOSSES["plain"],
            )
            trainer.train(resume_from_checkpoint=checkpoint and str(folder / f"resumed-{model_type}" / checkpoint))
            weights = torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])
            yield {
                "model_type": model_type,
                "from": checkpoint,
                "steps": trainer.state.global_step,
                "tokens": trainer.tokens_trained(),
                "weights": weights.tolist(),
            }


class Forgets(transformers.TrainerCallback):
    """Other processes than the first end with weights of their own, as on a host that sees no checkpoint."""

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if args.process_index:
            with torch.no_grad():
                for weight in kwargs["model"].parameters():
                    weight.fill_(7.0)


def best(processes: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Sums of the weights that each process ends with, after the best checkpoint was loaded."""
    trainer = FineTuningTrainer(
        model=tiny_model("bert", lora=False),
        args=arguments(folder / "best", eval_strategy="epoch", save_strategy="epoch", metric_for_best_model="loss"),
        train_dataset=rows(21),
        eval_dataset=rows(9),
        data_collator=DataCollatorWithPadding(tiny_tokenizer()),
        compute_loss_func=LOSSES["plain"],
    )
    trainer.add_callback(Forgets())
    trainer.train()
    weights = torch.cat([weight.detach().flatten() for weight in trainer.model.parameters()])
    yield {"sums": trainer.accelerator.gather(weights.sum()).reshape(-1).tolist()}


def main(out: Path, folder: Path) -> None:
    """Every section on this many processes; the first process writes."""
    imports_done()  # each training asks for a full collection
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    processes = arguments(folder).world_size
    parts = (exact, windows, spans, several_labels, stock, predicted, resumed, best)
    sections = {section.__name__: section for section in parts}
    seen: dict[str, Any] = {name: list(section(processes, folder)) for name, section in sections.items()}
    if os.environ.get("RANK", "0") == "0":
        out.write_text(json.dumps({"processes": processes, **seen}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
