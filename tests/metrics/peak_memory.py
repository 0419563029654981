"""Peak memory of evaluating a causal LM with a vocabulary of 128,000 through the hub, one row of 256 tokens a batch.

Run by test_perplexity.py in a process of its own: `python peak_memory.py ROWS`; prints JSON.
"""

import json
import os
import resource
import sys
import tempfile

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from llmtune.metrics import compute_metrics

TOKENS, VOCABULARY = 256, 128_000


def peak_mb() -> float:
    """Most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(rows: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
    )
    model = LlamaForCausalLM(config).eval()
    data = [{"input_ids": ids, "labels": ids} for ids in torch.randint(0, VOCABULARY, (rows, TOKENS))]
    hub = compute_metrics("language-modeling")

    def loss(outputs: object, labels: torch.Tensor, num_items_in_batch: object = None) -> torch.Tensor:
        return torch.zeros(())  # the model's own loss would hold a second copy of the logits: here the hub is measured

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model,
            TrainingArguments(
                folder,
                per_device_eval_batch_size=1,
                batch_eval_metrics=True,
                report_to=[],
                use_cpu=True,
                disable_tqdm=True,
                dataloader_pin_memory=False,
            ),
            eval_dataset=data,
            compute_metrics=hub,
            preprocess_logits_for_metrics=hub.preprocess_logits_for_metrics,
            compute_loss_func=loss,
        )
        trainer.evaluate(data[:1])  # what libraries load once is not the evaluation's
        with torch.no_grad():
            before = rss_mb()
            logits = model(input_ids=data[0]["input_ids"][None]).logits
            one_batch = logits.numel() * logits.element_size() / 2**20
            del logits
        metrics = trainer.evaluate()
        beyond = peak_mb() - before - one_batch
    print(json.dumps({"beyond_one_batch_mb": beyond, "batch_mb": one_batch, "perplexity": metrics["eval_perplexity"]}))


def rss_mb() -> float:
    """Memory this process holds now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main(int(sys.argv[1]))
