"""Named entities against the stock Trainer: the same model, rows, epochs, effective batch and learning rate, on CPU.

    python scripts/bench_ner.py --model FOLDER --data ../shared/data/conll2003 --output_dir /tmp/bench-ner

The peer is the token-classification recipe of the HF documentation: words split by the tokenizer, the first piece
labelled, truncation, dynamic padding, float32, the last weights. Ours is recipes/ner.py with its defaults. Both are
scored on the words of the test split, strict (IOB2) and lenient (seqeval's default), and the difference has a paired
bootstrap over sentences.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import datasets
import numpy as np
import transformers

from llmtune.metrics import available_metrics, score_predictions
from llmtune.metrics.core.base import with_interval
from llmtune.metrics.core.columns import read_columns
from llmtune.predictions import Predictions, make_predictions, read_predictions, write_predictions
from llmtune.stats import paired_cluster_bootstrap
from llmtune.tasks.token_classification.task import raw_table

RECIPE = Path(__file__).parent.parent / "recipes" / "ner.py"


def main() -> None:
    """Trains both, unless their tables are there already, and compares them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder with train, validation and test.jsonl")
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--learning_rate", type=float, default=2e-4)
    parser.add_argument("--max_length", type=int, default=128)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    stock, ours = options.output_dir / "stock.parquet", options.output_dir / "ours" / "predictions" / "test.parquet"
    options.output_dir.mkdir(parents=True, exist_ok=True)
    if not stock.exists():
        write_predictions(train_stock(options), stock)
    if not ours.exists():
        train_ours(options)
    compare(read_predictions(stock), read_predictions(ours))


def train_stock(options: argparse.Namespace) -> Predictions:
    """The recipe of the HF documentation, as people copy it."""
    rows = {
        split: [json.loads(line) for line in (options.data / f"{split}.jsonl").open()] for split in ("train", "test")
    }
    names = sorted({tag for row in rows["train"] for tag in row["tags"]})
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.model)

    def tokenized(split: str) -> tuple[datasets.Dataset, list[list[int | None]]]:
        encoded = tokenizer(
            [row["tokens"] for row in rows[split]],
            is_split_into_words=True,
            truncation=True,
            max_length=options.max_length,
        )
        words = [encoded.word_ids(i) for i in range(len(rows[split]))]
        labels = [
            [names.index(row["tags"][word]) if is_first(of, at) else -100 for at, word in enumerate(of)]
            for row, of in zip(rows[split], words, strict=True)
        ]
        return datasets.Dataset.from_dict({**encoded, "labels": labels}), words

    train, _ = tokenized("train")
    test, words = tokenized("test")
    transformers.set_seed(options.seed)
    trainer = transformers.Trainer(
        model=transformers.AutoModelForTokenClassification.from_pretrained(options.model, num_labels=len(names)),
        args=transformers.TrainingArguments(
            output_dir=str(options.output_dir / "stock"),
            num_train_epochs=options.epochs,
            per_device_train_batch_size=options.batch,
            learning_rate=options.learning_rate,
            seed=options.seed,
            save_strategy="no",
            report_to="none",
        ),
        train_dataset=train,
        data_collator=transformers.DataCollatorForTokenClassification(tokenizer),
    )
    start = time.perf_counter()
    trainer.train()
    print(f"stock: trained in {time.perf_counter() - start:.1f} s")
    ids = trainer.predict(test).predictions.argmax(axis=-1)
    prediction = []
    for row, of, found in zip(rows["test"], words, ids, strict=True):
        tags = ["O"] * len(row["tokens"])
        for at, word in enumerate(of):
            if is_first(of, at):
                tags[int(word or 0)] = names[found[at]]
        prediction.append(tags)
    columns = {"tokens": [row["tokens"] for row in rows["test"]], "reference": [row["tags"] for row in rows["test"]]}
    return make_predictions("token-classification", {**columns, "prediction": prediction}, settings={"scheme": "IOB2"})


def is_first(words: list[int | None], at: int) -> bool:
    """Whether the token is the first of its word."""
    return words[at] is not None and (at == 0 or words[at - 1] != words[at])


def train_ours(options: argparse.Namespace) -> None:
    """recipes/ner.py in a process of its own."""
    files = {split: str(options.data / f"{split}.jsonl") for split in ("train", "validation", "test")}
    flags = {
        "model_name_or_path": options.model,
        **{f"{split}_file": path for split, path in files.items()},
        "output_dir": options.output_dir / "ours",
        "num_train_epochs": options.epochs,
        "per_device_train_batch_size": options.batch // 4,
        "gradient_accumulation_steps": 4,
        "learning_rate": options.learning_rate,
        "max_length": options.max_length,
        "seed": options.seed,
    }
    command = [
        sys.executable,
        str(RECIPE),
        *(part for key, value in flags.items() for part in (f"--{key}", str(value))),
    ]
    subprocess.run(command, check=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})


def compare(stock: Predictions, ours: Predictions) -> None:
    """Entity F1 of both, and the difference on the same sentences."""
    assert stock.column("reference") == ours.column("reference"), "the two tables hold other references"
    for title, table in (("ours", ours), ("ours before repair", raw_table(ours))):
        print(f"\n{title} against stock, {len(ours):,} sentences")
        for name in ("entity_f1", "entity_f1_lenient"):
            scores = [score_predictions(of)[name] for of in (stock, table)]
            metric = available_metrics(stock)[name]
            statistics = [metric.statistics(read_columns(of)[1]) for of in (stock, table)]
            n, shape = len(statistics[0]), statistics[0].shape[1:]

            def of_flat(sums: np.ndarray, metric: object = metric, shape: tuple[int, ...] = shape) -> np.ndarray:
                return metric.score(sums.reshape(-1, *shape))  # type: ignore[attr-defined]

            flat = [of.reshape(n, -1) for of in statistics]
            difference, interval = paired_cluster_bootstrap(flat[0], flat[1], of_flat)
            print(f"{name:<18} stock {with_interval(scores[0])}  ours {with_interval(scores[1])}")
            low, high = interval.low, interval.high
            told = f"[{low:+.4f}, {high:+.4f}]" if low is not None and high is not None else interval.reason
            print(f"{'':<18} difference {difference:+.4f} {told}")


if __name__ == "__main__":
    main()
