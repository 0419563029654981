"""Evaluates 11 rows (a number that no world or batch size divides) and writes the metrics of rank 0.

accelerate launch --multi_gpu --num_processes 2 two_processes.py OUT
"""

import json
import os
import sys
import tempfile

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    LlamaConfig,
    LlamaForCausalLM,
    Trainer,
    TrainingArguments,
)

from llmtune.metrics import compute_metrics

SIZES = {"vocab_size": 60, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def rows(kind: str) -> list[dict[str, torch.Tensor]]:
    """Eleven, of 3 to 13 tokens, with one label or one a token."""
    found = []
    for i in range(11):
        generator = torch.Generator().manual_seed(i)
        ids = torch.randint(1, 60, (3 + i,), generator=generator)
        labels = {
            "classification": torch.tensor(i % 3 % 2),
            "token-classification": torch.randint(0, 5, ids.shape, generator=generator),
            "language-modeling": ids,
        }[kind]
        found.append({"input_ids": ids, "labels": labels})
    return found


def collate(batch: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Pads each batch to its own longest row."""

    def padded(name: str, fill: int) -> torch.Tensor:
        if not batch[0][name].ndim:
            return torch.stack([row[name] for row in batch])
        return torch.nn.utils.rnn.pad_sequence([row[name] for row in batch], batch_first=True, padding_value=fill)

    ids = padded("input_ids", 0)
    return {"input_ids": ids, "attention_mask": (ids != 0).long(), "labels": padded("labels", -100)}


def evaluated(batch_size: int, streaming: bool) -> dict[str, dict[str, object]]:
    """Metrics of each kind, without times, and the confusion matrix."""
    found = {}
    for kind, model_class, config, names in (
        ("classification", BertForSequenceClassification, BertConfig(**SIZES, num_labels=2), ["ham", "spam"]),
        ("token-classification", BertForTokenClassification, BertConfig(**SIZES, num_labels=5), TAGS),
        ("language-modeling", LlamaForCausalLM, LlamaConfig(**SIZES), []),
    ):
        torch.manual_seed(0)
        model = model_class(config)
        hub = compute_metrics(kind, label_names=names)
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                folder,
                per_device_eval_batch_size=batch_size,
                batch_eval_metrics=streaming,
                report_to=[],
                use_cpu=True,
                disable_tqdm=True,
            )
            trainer = Trainer(
                model,
                arguments,
                eval_dataset=rows(kind),
                data_collator=collate,
                compute_metrics=hub,
                preprocess_logits_for_metrics=hub.preprocess_logits_for_metrics,
            )
            metrics = trainer.evaluate()
        timed = ("runtime", "per_second", "eval_loss", "epoch", "preparation_time")
        found[kind] = {name: value for name, value in metrics.items() if not any(word in name for word in timed)}
        found[kind]["matrix"] = None if hub.confusion_matrix is None else hub.confusion_matrix.tolist()
    return found


def main(out: str) -> None:
    found = {"whole": evaluated(3, streaming=False), "streaming": evaluated(4, streaming=True)}
    found["world"] = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
    if int(os.environ.get("RANK", "0")) == 0:
        with open(out, "w") as file:
            json.dump(found, file)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
