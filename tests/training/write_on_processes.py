"""Trains tiny models that write, and lets them answer, on however many processes started it; writes JSON.

    python write_on_processes.py OUT.json FOLDER
    accelerate launch --multi_gpu --num_processes 2 write_on_processes.py OUT.json FOLDER

Run by test_writing_on_processes.py in both ways.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers
from transformers import PreTrainedTokenizerFast, set_seed

from llmtune.imports import imports_done
from llmtune.inference import predict
from llmtune.models.auto_generation import AutoModelForGeneration
from llmtune.models.from_scratch import tokenizer_type, train_tokenizer
from llmtune.tasks.losses import TokenCrossEntropy
from llmtune.tasks.translation import Translation
from llmtune.training.trainer import FineTuningTrainer
from tests.training.run_on_processes import SPLITS, arguments, logged_updates

WORDS = ["ash", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine", "rowan", "willow"]
BERT = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
BART = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "dropout": 0.0,
    "max_position_embeddings": 64,
    "init_std": 0.2,  # so small a model would not look at its source otherwise
}
SIZES: dict[str, dict[str, Any]] = {
    "t5": {"d_model": 32, "d_kv": 16, "d_ff": 48, "num_layers": 1, "num_heads": 2, "dropout_rate": 0.0},
    "marian": BART,
    "bart": BART,
    "mbart": BART,
    "bert": {**BERT, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    "llama": {**BERT, "num_key_value_heads": 1},
}


def chosen() -> list[str]:
    """The models of this session: those named after the two paths, else all."""
    return sys.argv[3:] or list(SIZES)


def rows(n: int) -> datasets.Dataset:
    """Sources of 2 to 12 words, the words backwards as targets."""
    sources = [[WORDS[(i * 7 + k * k) % len(WORDS)] for k in range(2 + i % 11)] for i in range(n)]
    return datasets.Dataset.from_dict(
        {"source": [" ".join(words) for words in sources], "target": [" ".join(words[::-1]) for words in sources]}
    )


def tokenizer_of(model_type: str) -> PreTrainedTokenizerFast:
    """Trained on the rows."""
    return train_tokenizer(tokenizer_type(model_type, writes=True), [" ".join(WORDS)] * 3, 330, 64)


def tiny(model_type: str) -> tuple[Any, PreTrainedTokenizerFast, Translation]:
    """32 wide, one layer a side, float32, no dropout, the same weights in every process; with tokenizer and task."""
    set_seed(0)
    tokenizer = tokenizer_of(model_type)
    tokens = {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in ("pad", "bos", "eos")}
    config = transformers.AutoConfig.for_model(model_type, vocab_size=len(tokenizer), **tokens, **SIZES[model_type])
    config.cls_token_id, config.sep_token_id = tokenizer.cls_token_id, tokenizer.sep_token_id
    if config.is_encoder_decoder:
        config.decoder_start_token_id, config.forced_eos_token_id = tokenizer.pad_token_id, None
    model = AutoModelForGeneration.from_config(config)
    task = Translation(max_source_length=40, max_target_length=24, max_new_tokens=16)
    return model, tokenizer, task.fitted(tokenizer, decoder=model_type == "llama", limit=64)


def trainer_of(model_type: str, folder: Path, n: int, **options: Any) -> FineTuningTrainer:
    """A Trainer of n rows."""
    model, tokenizer, task = tiny(model_type)
    inputs = task.encode(rows(n), tokenizer).dataset
    return FineTuningTrainer(
        model=model,
        args=arguments(folder, **options),
        train_dataset=inputs,
        processing_class=tokenizer,
        data_collator=task.data_collator(tokenizer, model),
        compute_loss_func=TokenCrossEntropy(task.decoder),
        generation=task.generation(tokenizer),
    )


def exact(processes: int, folder: Path) -> Iterator[dict[str, Any]]:
    """One record a model, number of rows and split: loss and gradient norm of each update."""
    for model_type in chosen():
        for n in (21, 17):  # 21 rows end in 8 + 8 + 5; 17 in 8 + 8 + 1, where the second process has no row
            for micro, accumulation in SPLITS[processes]:
                options = {"per_device_train_batch_size": micro, "gradient_accumulation_steps": accumulation}
                trainer = trainer_of(model_type, folder, n, **options)
                split = f"{processes} x {micro} x {accumulation}"
                case = {"case": f"{model_type}, {n} rows", "split": split, "pending": trainer.leaves_logits_pending}
                yield {**case, "updates": logged_updates(trainer)}


def looking_for_unused(processes: int, folder: Path) -> Iterator[dict[str, Any]]:
    """As `exact`, where DDP looks for parameters that a forward pass leaves unused."""
    for model_type in chosen():
        if model_type in ("t5", "llama"):  # a projection that is the embedding too, and one of its own
            options = {"per_device_train_batch_size": 8 // processes, "ddp_find_unused_parameters": True}
            trainer = trainer_of(model_type, folder, 17, **options)
            case = {"case": f"{model_type}, 17 rows", "pending": trainer.leaves_logits_pending}
            yield {**case, "updates": logged_updates(trainer)}


def learn(trainer: FineTuningTrainer, steps: int = 60) -> None:
    """Some updates with all rows at once, the very same in every process: weights that say different things."""
    optimizer = torch.optim.Adam(trainer.model.parameters(), lr=1e-2)
    batch = trainer.data_collator([trainer.train_dataset[row] for row in range(len(trainer.train_dataset))])
    labels = batch.pop("labels")
    for _ in range(steps):
        optimizer.zero_grad()
        trainer.compute_loss_func(trainer.model(**batch), labels).backward()
        optimizer.step()


def answered(processes: int, folder: Path) -> Iterator[dict[str, Any]]:
    """The answers to 23 rows at several batch sizes, with and without targets beside."""
    for model_type in chosen():
        trainer = trainer_of(model_type, folder, 64)
        learn(trainer)
        _, tokenizer, task = tiny(model_type)
        inputs = task.encode(rows(23), tokenizer)
        alone = task.encode(rows(23).remove_columns("target"), tokenizer)
        for batch in (1, 8, 32):
            trainer.args.per_device_eval_batch_size = batch
            output = trainer.predict(inputs.dataset)
            yield {
                "model": model_type,
                "batch": batch,
                "answers": task.written(predict(trainer, task, inputs), inputs)[0],
                "answers without targets": task.written(predict(trainer, task, alone), alone)[0],
                "nats": output.predictions[-1].tolist(),
                "tokens": output.label_ids.tolist(),
            }


def main(out: Path, folder: Path) -> None:
    """Every section on this many processes; the first process writes."""
    imports_done()  # each training asks for a full collection
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    processes = arguments(folder).world_size
    seen: dict[str, Any] = {
        section.__name__: list(section(processes, folder)) for section in (exact, looking_for_unused, answered)
    }
    if os.environ.get("RANK", "0") == "0":
        out.write_text(json.dumps({"processes": processes, **seen}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
