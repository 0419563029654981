"""Quality on pairs, several labels, scores, stars and long documents, beside the stock Trainer and TF-IDF.

    python scripts/bench_problem_types.py SET --data ../shared/data --model MINILM_FOLDER [--seeds 1 2 3]
        [--train_rows N] [--epochs E]

A round is one seed: our recipe through the command a user types, then transformers.Trainer as its documentation sets it
up (dynamic padding, the model's own loss, best checkpoint by validation loss) on the same rows with the same model,
epochs, learning rate and batch. Prints each score on test, the paired difference with its 95 % interval, and TF-IDF of
the same run. Of long documents the stock Trainer, and our first run, truncate; our second one reads windows, and is
compared with both.
"""

import argparse
import gzip
import json
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from bench_runs import run_command

from llmtune.comparison.differences import compare_predictions
from llmtune.metrics import score_predictions
from llmtune.predictions import Predictions, make_predictions, read_predictions
from llmtune.runs.folder import RunFolder

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Problem:
    """A set and how it is trained.

    Args:
        recipe: ours.
        label: column of the answers.
        metric: that is compared.
        flags: of our recipe, beyond what both have.
        more: flags of a second run of ours.
        epochs: over train.
        length: tokens of a row at most.
    """

    recipe: str
    label: str
    metric: str
    flags: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    epochs: float = 3
    length: int = 128
    learning_rate: float = 1e-4
    batch: int = 16


PAIRS = ("--text_pair_column", "text_pair")
PROBLEMS = {
    "mrpc": Problem("sentiment", "label", "f1_macro", PAIRS, epochs=4),
    "snli": Problem("sentiment", "label", "f1_macro", PAIRS),
    "stsb": Problem("text_regression", "score", "spearman", PAIRS),
    "goemotions": Problem("text_classification", "labels", "f1_micro", epochs=6, length=64, learning_rate=3e-4),
    "reuters21578": Problem("text_classification", "labels", "f1_micro", epochs=8, length=256, learning_rate=2e-4),
    "app_reviews": Problem("text_regression", "stars", "mse"),
    "olist_reviews_pt": Problem("text_regression", "stars", "mse"),
    "movie_reviews_long": Problem(
        "sentiment", "label", "accuracy", more=("--long_text", "windows"), epochs=8, length=512, batch=8
    ),
}
SPLITS = ("train", "validation", "test")


def main() -> None:
    """Runs the rounds of a set and prints them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=PROBLEMS)
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--model", required=True, help="checkpoint folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="a round each")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of either")
    parser.add_argument("--train_rows", type=int, help="of train, drawn once for all; default all")
    parser.add_argument("--epochs", type=float, help="over train; default the set's own")
    arguments = parser.parse_args()
    problem = PROBLEMS[arguments.set]
    problem = replace(problem, epochs=arguments.epochs or problem.epochs)
    more = " ".join(problem.more)  # as the name of the run that has these flags too
    with tempfile.TemporaryDirectory() as scratch:
        files = {split: unpack(arguments.data / arguments.set / f"{split}.jsonl.gz", scratch) for split in SPLITS}
        if arguments.train_rows:
            with files["train"].open(encoding="utf-8") as file:  # splitlines would cut texts at U+2028
                rows = list(file)
            drawn = np.random.default_rng(0).permutation(len(rows))[: arguments.train_rows]
            files["train"].write_text("".join(rows[place] for place in sorted(drawn)), encoding="utf-8")
        for seed in arguments.seeds:
            run = Path(scratch) / f"ours-{seed}"
            ours = run_recipe(arguments, problem, files, seed, run)
            tables = {"llmtune": ours, "stock": run_stock(arguments, problem, files, seed, ours)}
            if problem.more:
                folder = Path(scratch) / f"more-{seed}"
                tables[more] = run_recipe(arguments, problem, files, seed, folder, problem.more)
            tables |= {name: table for name, table in RunFolder(run).baselines("test").items() if "TF-IDF" in name}
            scores = {name: score_predictions(table)[problem.metric].value for name, table in tables.items()}
            shown = ", ".join(f"{name} {score:.3f}" for name, score in scores.items())
            print(f"{arguments.set} seed {seed} {problem.metric}: {shown}", flush=True)
            for own in [name for name in ("llmtune", more) if name in tables]:
                for other in [name for name in tables if name not in (own, more)]:
                    print(f"  {difference(problem.metric, tables[own], tables[other], (own, other))}", flush=True)


def difference(metric: str, ours: Predictions, other: Predictions, names: tuple[str, str]) -> str:
    """Ours less the other's on the same rows, with its interval."""
    result = compare_predictions(other, ours, names=names[::-1], metric=metric)
    told = " less ".join(names)
    pair = next(pair for pair in result.differences if pair.metric == metric)
    if pair.low is None or pair.high is None:
        return f"{told}: no interval: {pair.reason}"
    return f"{told}: {pair.difference:+.3f} [{pair.low:+.3f}, {pair.high:+.3f}]"


def unpack(path: Path, folder: str) -> Path:
    """The rows as a plain file."""
    target = Path(folder) / path.name.removesuffix(".gz")
    target.write_bytes(gzip.decompress(path.read_bytes()))
    return target


def run_recipe(
    arguments: argparse.Namespace,
    problem: Problem,
    files: dict[str, Path],
    seed: int,
    folder: Path,
    more: tuple[str, ...] = (),
) -> Predictions:
    """Our recipe in a process of its own; its test table."""
    command = [sys.executable, str(ROOT / "recipes" / f"{problem.recipe}.py"), "--model_name_or_path", arguments.model]
    command += [f"--{split}_file={path}" for split, path in files.items()]
    command += [
        f"--label_column={problem.label}",
        f"--num_train_epochs={problem.epochs}",
        f"--learning_rate={problem.learning_rate}",
        f"--per_device_train_batch_size={problem.batch}",
        f"--max_length={problem.length}",
        f"--seed={seed}",
        f"--cpu_threads={arguments.threads}",
        f"--output_dir={folder}",
    ]
    run_command([*command, *problem.flags, *more])
    return read_predictions(folder / "predictions" / "test.parquet")


def run_stock(
    arguments: argparse.Namespace, problem: Problem, files: dict[str, Path], seed: int, ours: Predictions
) -> Predictions:
    """transformers.Trainer on the same rows; its test table, of the kind of ours."""
    import datasets
    import torch
    import transformers

    torch.set_num_threads(arguments.threads)
    transformers.set_seed(seed)
    names = ours.label_names
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.model)

    def encode(rows: dict[str, Any]) -> dict[str, Any]:
        texts = (rows["text"], rows["text_pair"]) if "text_pair" in rows else (rows["text"],)
        return {**tokenizer(*texts, truncation=True, max_length=problem.length), "labels": targets(rows[problem.label])}

    def targets(answers: list[Any]) -> list[Any]:
        if ours.kind.multi_label:
            return [[float(name in answer) for name in names] for answer in answers]
        return [names.index(answer) for answer in answers] if names else [float(answer) for answer in answers]

    rows = {split: [json.loads(line) for line in path.open(encoding="utf-8")] for split, path in files.items()}
    encoded = {}
    for split, records in rows.items():
        table = datasets.Dataset.from_list(records)
        encoded[split] = table.map(encode, batched=True, remove_columns=table.column_names)
    kinds = {True: "multi_label_classification", False: "single_label_classification" if names else "regression"}
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        arguments.model, num_labels=len(names) or 1, problem_type=kinds[ours.kind.multi_label]
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = transformers.Trainer(
            model=model,
            args=transformers.TrainingArguments(
                output_dir=folder,
                num_train_epochs=problem.epochs,
                learning_rate=problem.learning_rate,
                per_device_train_batch_size=problem.batch,
                eval_strategy="epoch",
                save_strategy="epoch",
                load_best_model_at_end=True,
                seed=seed,
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=encoded["train"],
            eval_dataset=encoded["validation"],
            processing_class=tokenizer,
        )
        trainer.train()
        logits = trainer.predict(encoded["test"]).predictions.astype(np.float64)
    columns: dict[str, Any] = {"reference": ours.column("reference")}
    if ours.kind.multi_label:
        probabilities = 1 / (1 + np.exp(-logits))
        columns |= {"prediction": [[names[i] for i in np.flatnonzero(row >= 0.5)] for row in probabilities]}
    elif names:
        probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        columns |= {"prediction": [names[i] for i in probabilities.argmax(axis=1)]}
    else:
        return make_predictions(ours.kind, {**columns, "prediction": logits[:, 0].tolist()}, carried=texts_of(ours))
    columns |= {"probabilities": probabilities}
    return make_predictions(ours.kind, columns, carried=texts_of(ours), label_names=names)


def texts_of(table: Predictions) -> dict[str, list[Any]]:
    """The texts of a table, so that rows are compared with their like."""
    return {name: table.column(name) for name in ("text", "text_pair") if table.has(name)}


if __name__ == "__main__":
    main()
