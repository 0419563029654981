"""Peak memory of evaluating a causal LM with a vocabulary of 128,000 through the hub, one row of 256 tokens a batch.

Run by test_perplexity.py in a process of its own: `python peak_memory.py ROWS…` evaluates the most rows, and prints as
JSON the peak after each number of rows.
"""

import json
import os
import sys
import tempfile

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

from llmtune.metrics import compute_metrics

TOKENS, VOCABULARY = 256, 128_000


def peak_mb() -> float:
    """Most memory this process ever held. Not ru_maxrss: a child starts with its parent's, and pytest's is large."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024


class Peaks(TrainerCallback):
    """Notes the peak after these numbers of rows."""

    def __init__(self, rows: list[int]) -> None:
        self.rows, self.seen, self.peaks = rows, 0, {}

    def on_prediction_step(self, *args: object, **kwargs: object) -> None:
        self.seen += 1
        if self.seen in self.rows:
            self.peaks[self.seen] = peak_mb()


def no_loss(outputs: object, labels: torch.Tensor, num_items_in_batch: object = None) -> torch.Tensor:
    """Nothing: the model's own loss would hold a second copy of the logits, and here the hub is measured."""
    return torch.zeros(())


def main(rows: list[int]) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
    )
    model = LlamaForCausalLM(config).eval()
    data = [{"input_ids": ids, "labels": ids} for ids in torch.randint(0, VOCABULARY, (max(rows), TOKENS))]
    hub = compute_metrics("language-modeling")
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            per_device_eval_batch_size=1,
            batch_eval_metrics=True,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        trainer = Trainer(
            model,
            arguments,
            eval_dataset=data,
            compute_metrics=hub,
            preprocess_logits_for_metrics=hub.preprocess_logits_for_metrics,
            compute_loss_func=no_loss,
        )
        trainer.evaluate(data[:1])  # what libraries load once is not the evaluation's
        before, one_batch = rss_mb(), TOKENS * VOCABULARY * 4 / 2**20
        peaks = Peaks(rows)
        trainer.add_callback(peaks)
        metrics = trainer.evaluate()
    beyond = {number: peak - before - one_batch for number, peak in peaks.peaks.items()}
    print(json.dumps({"beyond_one_batch_mb": beyond, "perplexity": metrics["eval_perplexity"]}))


def rss_mb() -> float:
    """Memory this process holds now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main([int(number) for number in sys.argv[1:]])
