"""Named entities against the stock Trainer, in turn: the same model, rows, epochs, effective batch and learning rate.

    python scripts/bench_ner.py --model FOLDER --data ../shared/data/conll2003 [--rounds 3] [--train_rows N]

The peer is the token-classification recipe of the HF documentation: words split by the tokenizer, the first piece
labeled, truncation, dynamic padding, float32, an evaluation and a checkpoint each epoch, the best weights. Ours is
recipes/ner.py with its defaults. A round is one seed. Prints seconds of training, the memory of the largest process,
the ratio of times and its spread; both are scored on the words of the test split, strict (IOB2) and lenient (seqeval's
default), and the difference has a paired bootstrap over sentences.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import datasets
import numpy as np
import transformers
from bench_runs import run_command, shortened

from llmtune.metrics import available_metrics, score_predictions
from llmtune.metrics.core.base import with_interval
from llmtune.metrics.core.columns import read_columns
from llmtune.predictions import Predictions, make_predictions, read_predictions, write_predictions
from llmtune.stats import paired_cluster_bootstrap
from llmtune.tasks.token_classification.task import raw_table

SPLITS = ("train", "validation", "test")
TRAINED = "seconds of training: "
RECIPE = Path(__file__).parent.parent / "recipes" / "ner.py"


def main() -> None:
    """Runs the rounds and compares them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder with train, validation and test.jsonl")
    parser.add_argument("--rounds", type=int, default=3, help="seeds 1, 2, …")
    parser.add_argument("--train_rows", type=int, help="of train, drawn once for all; default all")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--learning_rate", type=float, default=2e-4)
    parser.add_argument("--max_length", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--run_peer", type=Path, metavar="OUTPUT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run_peer:
        write_predictions(train_stock(options), options.run_peer)
        return
    ratios = []
    with tempfile.TemporaryDirectory() as scratch:
        if options.train_rows:
            options.data = shortened(options.data, options.train_rows, Path(scratch) / "data")
        for seed in range(1, options.rounds + 1):
            options.seed, folder = seed, Path(scratch) / str(seed)
            runs = {"ours": train_ours, "stock": start_stock}
            order = list(runs) if seed % 2 else list(reversed(runs))
            found = {name: runs[name](options, folder) for name in order}
            (ours, our_seconds, _), (stock, seconds, _) = found["ours"], found["stock"]
            ratios.append(seconds / our_seconds)
            each = ", ".join(f"{name} {of[1]:.1f} s, {of[2]:,.0f} MiB" for name, of in found.items())
            print(f"seed {seed}: {each}, {ratios[-1]:.2f} times", flush=True)
            compare(stock, ours)
    print(f"stock / ours seconds: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")


def start_stock(options: argparse.Namespace, folder: Path) -> tuple[Predictions, float, float]:
    """The peer in a process of its own: its table, its seconds and MiB of memory."""
    folder.mkdir(parents=True, exist_ok=True)
    flags = {
        name: getattr(options, name)
        for name in ("model", "data", "epochs", "batch", "learning_rate", "max_length", "seed")
    }
    command = [sys.executable, __file__, f"--run_peer={folder / 'stock.parquet'}"]
    command += [f"--{name}={value}" for name, value in flags.items()]
    ended = run_command(command)
    seconds = next(line for line in ended.output.splitlines() if line.startswith(TRAINED)).removeprefix(TRAINED)
    return read_predictions(folder / "stock.parquet"), float(seconds), ended.peak_mib


def train_stock(options: argparse.Namespace) -> Predictions:
    """The recipe of the HF documentation, as people copy it."""
    rows = {split: [json.loads(line) for line in (options.data / f"{split}.jsonl").open()] for split in SPLITS}
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
    validation, _ = tokenized("validation")
    test, words = tokenized("test")
    transformers.set_seed(options.seed)
    trainer = transformers.Trainer(
        model=transformers.AutoModelForTokenClassification.from_pretrained(options.model, num_labels=len(names)),
        args=transformers.TrainingArguments(
            output_dir=str(options.run_peer.with_suffix("")),
            num_train_epochs=options.epochs,
            per_device_train_batch_size=options.batch,
            learning_rate=options.learning_rate,
            seed=options.seed,
            eval_strategy="epoch",
            save_strategy="epoch",
            save_total_limit=1,
            load_best_model_at_end=True,
            report_to="none",
            dataloader_pin_memory=False,
        ),
        train_dataset=train,
        eval_dataset=validation,
        data_collator=transformers.DataCollatorForTokenClassification(tokenizer),
    )
    print(f"{TRAINED}{trainer.train().metrics['train_runtime']}")
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


def train_ours(options: argparse.Namespace, folder: Path) -> tuple[Predictions, float, float]:
    """recipes/ner.py in a process of its own: its table, its seconds and MiB of memory."""
    files = {split: str(options.data / f"{split}.jsonl") for split in SPLITS}
    flags = {
        "model_name_or_path": options.model,
        **{f"{split}_file": path for split, path in files.items()},
        "output_dir": folder / "ours",
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
    ended = run_command(command)
    training = json.loads((folder / "ours" / "run.json").read_text(encoding="utf-8"))["training"]
    return read_predictions(folder / "ours" / "predictions" / "test.parquet"), training["train_seconds"], ended.peak_mib


def compare(stock: Predictions, ours: Predictions) -> None:
    """Entity F1 of both, and the difference on the same sentences."""
    assert stock.column("reference") == ours.column("reference"), "the two tables hold other references"
    for title, table in (("ours", ours), ("ours, each word by itself", raw_table(ours))):
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
