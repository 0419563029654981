"""Speed and memory of evaluation beside the stock Trainer, on texts of mixed length, alternating.

    python scripts/bench_evaluation.py --model MINILM_FOLDER [--rows 2000] [--rounds 3] [--memory 1000 10000 100000]

Four of five rows have the length of a message (about 20 tokens), the fifth that of a review (about 230, at most 256);
tokens are random. Both predict the same rows in batches of the same size on all cores, ours as `llmtune evaluate` does,
the stock Trainer with dynamic padding. Prints rows a second, the ratio of each round and its spread, and the largest
difference of any probability. `--memory` then scores more and more short rows with a tiny model, each time in a process
of its own, and prints what the evaluation itself adds to its memory at most (Linux).
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from bench_runs import run_command

BATCH = 32


def main() -> None:
    """Runs the rounds, then the memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="checkpoint folder of an encoder")
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=int, nargs="*", default=[1_000, 10_000, 100_000], help="rows of each process")
    parser.add_argument("--keep", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.keep:
        print(json.dumps(memory_of(arguments.keep)))
        return
    compare(arguments)
    grown = {}
    for rows in arguments.memory:
        command = [sys.executable, __file__, "--model", arguments.model, "--keep", str(rows)]
        grown[rows] = json.loads(run_command(command).output.splitlines()[-1])
        print(f"{rows:>9,} rows: {grown[rows]['mib']:,.0f} MiB more, {grown[rows]['seconds']:.1f} s", flush=True)


def compare(arguments: argparse.Namespace) -> None:
    """Both on the same rows, the order reversed each round."""
    import torch
    import transformers

    from llmtune.inference import inference_trainer
    from llmtune.stats import softmax
    from llmtune.tasks.text_classification.task import TextClassification
    from llmtune.training.hardware import configure_cpu

    transformers.logging.set_verbosity_error()
    threads = configure_cpu(None)
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.model)
    data = rows(arguments.rows, tokenizer.vocab_size)
    ratios, differences = [], []
    for turn in range(arguments.rounds):
        rates, seen = {}, {}
        for name in ("llmtune", "stock") if turn % 2 == 0 else ("stock", "llmtune"):
            transformers.set_seed(0)
            model = transformers.AutoModelForSequenceClassification.from_pretrained(arguments.model, num_labels=2)
            with tempfile.TemporaryDirectory() as folder:
                trainer: Any
                if name == "llmtune":
                    task = TextClassification(("a", "b"), "b", max_length=256)
                    trainer = inference_trainer(model, tokenizer, task, output_dir=folder, batch_size=BATCH)
                else:
                    trainer = transformers.Trainer(
                        model=model,
                        args=transformers.TrainingArguments(
                            folder, per_device_eval_batch_size=BATCH, report_to="none", disable_tqdm=True
                        ),
                        processing_class=tokenizer,
                    )
                started = time.perf_counter()
                outputs = trainer.predict(data).predictions
                rates[name] = len(data) / (time.perf_counter() - started)
                seen[name] = softmax(outputs.astype(np.float64))  # of logits, or of log-probabilities
        ratios.append(rates["llmtune"] / rates["stock"])
        differences.append(float(np.abs(seen["llmtune"] - seen["stock"]).max()))
        print(f"round {turn + 1}: llmtune {rates['llmtune']:,.0f} rows/s, stock {rates['stock']:,.0f}", flush=True)
    print(
        f"{threads} threads, torch {torch.__version__}: llmtune / stock {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f}); no probability differs by more than {max(differences):.1e}"
    )


def rows(count: int, words: int) -> Any:
    """Random tokens, four messages to a review."""
    import datasets

    random = np.random.default_rng(0)
    short = np.clip(random.lognormal(np.log(20), 0.6, count).astype(int), 3, 128)
    long = np.clip(random.lognormal(np.log(230), 0.6, count).astype(int), 30, 256)
    lengths = np.where(random.random(count) < 0.8, short, long)
    ids = [random.integers(1_000, words, length).tolist() for length in lengths]
    return datasets.Dataset.from_dict({"input_ids": ids, "attention_mask": [[1] * len(row) for row in ids]})


def memory_of(count: int) -> dict[str, float]:
    """Scores so many rows of eight tokens with a tiny model; the most memory that this process held, and seconds."""
    import datasets
    import transformers
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    from llmtune.inference import inference_trainer
    from llmtune.tasks.text_classification.task import TextClassification

    transformers.logging.set_verbosity_error()
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    model = transformers.BertForSequenceClassification(transformers.BertConfig(vocab_size=100, **sizes))
    words = Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1}, unk_token="[UNK]"))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]")
    ids = np.random.default_rng(0).integers(2, 100, (count, 8)).tolist()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        datasets.Dataset.from_dict({"input_ids": ids, "attention_mask": [[1] * 8] * count}).to_parquet(path)
        del ids
        data = datasets.load_dataset("parquet", data_files=str(path), split="train", cache_dir=folder)
        task = TextClassification(("a", "b"), "b", max_length=8)
        trainer = inference_trainer(model, tokenizer, task, output_dir=folder, batch_size=BATCH)
        trainer.predict(data.select(range(100)))  # what the first call loads is not the evaluation's
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins here (proc_pid_clear_refs(5))
        before = resident("VmRSS")
        started = time.perf_counter()
        trainer.predict(data)
        seconds = time.perf_counter() - started
    return {"mib": resident("VmHWM") - before, "seconds": seconds}


def resident(name: str) -> float:
    """Memory of this process in MiB: VmRSS now, VmHWM at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


if __name__ == "__main__":
    main()
