"""Training speed and quality against the HF docs' text-classification recipe, alternating, on the same rows.

    python scripts/bench_training.py --data ../shared/data/sms_spam --model MINILM_FOLDER [--rounds 3] [--epochs 3]
        [--train_rows 200 800 3200]

Ours is `recipes/spam.py`; the peer is the recipe of https://huggingface.co/docs/transformers/tasks/sequence_classification
(stock Trainer, dynamic padding, float32) with the same model, rows, epochs, learning rate and effective batch. Both
evaluate and save each epoch and end with the best checkpoint; both use all cores. A round is one seed and runs both.
Prints seconds, tokens a second, padding, the share of this machine's own matrix-product rate, the memory of the largest
process, F1 on test with the paired interval over rows, and TF-IDF with logistic regression on the same rows. With
several `--train_rows` all this for each, as cost against size.
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
from bench_runs import run_command, shortened

ROOT = Path(__file__).resolve().parent.parent
BATCH = 32


def main() -> None:
    """Runs the rounds and prints the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with train, validation and test .jsonl")
    parser.add_argument("--model", required=True, help="checkpoint folder")
    parser.add_argument("--rounds", type=int, default=3, help="seeds 0, 1, …")
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--train_rows", type=int, nargs="*", help="sizes of train; default all its rows")
    parser.add_argument("--learning_rate", type=float, default=5e-5)
    parser.add_argument("--ours", nargs=argparse.REMAINDER, default=[], help="more flags of the recipe")
    parser.add_argument("--run_peer", metavar="OUTPUT", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run_peer:
        run_peer(arguments, Path(arguments.run_peer))
        return
    from llmtune.arguments.training import does_bf16_well

    # Only what training may run in: bf16 by software takes minutes for one product.
    rates = {"fp32": matrix_rate("float32")}
    if does_bf16_well(on_cpu=True):
        rates["bf16"] = matrix_rate("bfloat16")
    shown = ", ".join(f"{name} {rate / 1e9:,.0f}" for name, rate in rates.items())
    print(f"this machine's matrix products: {shown} GFLOP/s", flush=True)
    for size in arguments.train_rows or (None,):
        with tempfile.TemporaryDirectory() as scratch:
            if size is not None:
                print(f"{size:,} rows of train")
            data = arguments.data if size is None else shortened(arguments.data, size, Path(scratch) / "data")
            rounds(argparse.Namespace(**vars(arguments) | {"data": data}), rates, Path(scratch))


def rounds(arguments: argparse.Namespace, rates: dict[str, float], scratch: Path) -> None:
    """Runs both in turn, seed by seed, and compares them."""
    results: dict[str, list[dict[str, Any]]] = {"llmtune": [], "stock": []}
    for seed in range(arguments.rounds):
        for name in ("llmtune", "stock") if seed % 2 == 0 else ("stock", "llmtune"):
            run = run_recipe if name == "llmtune" else start_peer
            results[name].append(run(arguments, seed, scratch / f"{name}-{seed}"))
            print(f"seed {seed} {name:<8} {say(results[name][-1], rates)}", flush=True)
    compare(results, rates)


def run_recipe(arguments: argparse.Namespace, seed: int, folder: Path) -> dict[str, Any]:
    """Our recipe in a process of its own; what it left."""
    files = [f"--{split}_file={arguments.data / split}.jsonl" for split in ("train", "validation", "test")]
    command = [sys.executable, str(ROOT / "recipes" / "spam.py"), "--model_name_or_path", arguments.model, *files]
    command += [
        f"--num_train_epochs={arguments.epochs}",
        f"--learning_rate={arguments.learning_rate}",
        f"--seed={seed}",
    ]
    command += [
        "--per_device_train_batch_size=8",
        f"--gradient_accumulation_steps={BATCH // 8}",
        f"--output_dir={folder}",
    ]
    ended = run_command([*command, *arguments.ours])
    from llmtune.predictions import read_predictions

    training = json.loads((folder / "run.json").read_text())["training"]
    test = read_predictions(folder / "predictions" / "test.parquet")
    tfidf = read_predictions(folder / "predictions" / "baselines" / "tf_idf_logistic_regression.parquet")
    return {
        "seconds": training["train_seconds"],
        "real": training["real_tokens"],
        "padded": training["padded_tokens"],
        "peak_mib": ended.peak_mib,
        "precision": json.loads((folder / "run.json").read_text())["arguments"]["training"]["precision"],
        "weights": matrix_weights(arguments.model),
        "reference": test.label_ids("reference") == test.positive_id,
        "predicted": test.label_ids("prediction") == test.positive_id,
        "tfidf": tfidf.label_ids("prediction") == tfidf.positive_id,
    }


def start_peer(arguments: argparse.Namespace, seed: int, folder: Path) -> dict[str, Any]:
    """The peer in a process of its own; what it left."""
    command = [sys.executable, __file__, "--data", str(arguments.data), "--model", arguments.model, "--seed", str(seed)]
    command += [f"--epochs={arguments.epochs}", f"--learning_rate={arguments.learning_rate}", "--run_peer", str(folder)]
    ended = run_command(command)
    left = dict(np.load(folder / "left.npz"))
    measured = {key: float(left[key]) for key in ("seconds", "real", "padded")}
    return {
        **left,
        **measured,
        "peak_mib": ended.peak_mib,
        "precision": "fp32",
        "weights": matrix_weights(arguments.model),
    }


def run_peer(arguments: argparse.Namespace, folder: Path) -> None:
    """The HF docs' recipe as it stands, but for model, rows, epochs, learning rate and batch."""
    import datasets
    import transformers

    transformers.set_seed(arguments.seed)
    files = {split: str(arguments.data / f"{split}.jsonl") for split in ("train", "validation", "test")}
    rows = datasets.load_dataset("json", data_files=files, cache_dir=str(folder / "cache"))
    names = sorted(set(rows["train"]["label"]))
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.model)

    def preprocess(batch: dict[str, Any]) -> dict[str, Any]:
        encoded = tokenizer(batch["text"], truncation=True, max_length=256)
        return {**encoded, "labels": [names.index(label) for label in batch["label"]]}

    rows = rows.map(preprocess, batched=True, remove_columns=["text", "label"])
    model = transformers.AutoModelForSequenceClassification.from_pretrained(arguments.model, num_labels=len(names))
    tokens = np.zeros(2)

    class CountingTrainer(transformers.Trainer):
        def training_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            tokens[:] += inputs["attention_mask"].sum().item(), inputs["attention_mask"].numel()
            return super().training_step(model, inputs, *args, **kwargs)

    trainer = CountingTrainer(
        model=model,
        args=transformers.TrainingArguments(
            output_dir=str(folder),
            learning_rate=arguments.learning_rate,
            per_device_train_batch_size=BATCH,
            per_device_eval_batch_size=8,
            num_train_epochs=arguments.epochs,
            eval_strategy="epoch",
            save_strategy="epoch",
            save_total_limit=1,
            load_best_model_at_end=True,
            seed=arguments.seed,
            report_to="none",
            dataloader_pin_memory=False,
        ),
        train_dataset=rows["train"],
        eval_dataset=rows["validation"],
        processing_class=tokenizer,
        data_collator=transformers.DataCollatorWithPadding(tokenizer),
    )
    seconds = trainer.train().metrics["train_runtime"]
    output = trainer.predict(rows["test"])
    np.savez(
        folder / "left.npz",
        seconds=seconds,
        real=tokens[0],
        padded=tokens[1],
        reference=output.label_ids == len(names) - 1,
        predicted=output.predictions.argmax(axis=1) == len(names) - 1,
    )


def matrix_rate(dtype: str, size: int = 2048, repeats: int = 5) -> float:
    """FLOP a second of a size³ matrix product, the median of `repeats`."""
    import torch

    a, b = (torch.rand(size, size, dtype=getattr(torch, dtype)) for _ in range(2))
    torch.mm(a, b)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        torch.mm(a, b)
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / statistics.median(seconds)


def matrix_weights(model: str) -> int:
    """Weights that every token is multiplied with: all but the embeddings."""
    from transformers import AutoModel

    loaded = AutoModel.from_pretrained(model)
    embedded = sum(p.numel() for name, p in loaded.named_parameters() if "embed" in name)
    return sum(p.numel() for p in loaded.parameters()) - embedded


def f1(reference: np.ndarray, predicted: np.ndarray) -> float:
    """F1 of the positive rows, from scikit-learn."""
    from sklearn.metrics import f1_score

    return float(f1_score(reference, predicted))


def say(result: dict[str, Any], rates: dict[str, float]) -> str:
    """One run in a line. A token costs 6 FLOP a weight: 2 forward, 4 backward (Kaplan et al. 2020)."""
    rate = 6 * result["weights"] * result["padded"] / result["seconds"]
    measured = rates.get(result["precision"])
    reached = f"{rate / measured:.0%} of the {result['precision']} rate" if measured else f"{rate / 1e9:,.0f} GFLOP/s"
    return (
        f"{result['seconds']:7.1f} s  {result['real'] / result['seconds']:7,.0f} real tokens/s  "
        f"padded {result['padded'] / result['real']:.2f} x real  {reached}  {result['peak_mib']:,.0f} MiB  "
        f"F1 {f1(result['reference'], result['predicted']):.4f}"
    )


def compare(results: dict[str, list[dict[str, Any]]], rates: dict[str, float]) -> None:
    """The ratio of times pair by pair, and the paired interval of the difference in mean F1."""
    from llmtune.stats import cluster_bootstrap

    ours, peer = results["llmtune"], results["stock"]
    ratios = [b["seconds"] / a["seconds"] for a, b in zip(ours, peer, strict=True)]
    print(f"stock / llmtune seconds: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")
    means = {name: np.mean([f1(r["reference"], r["predicted"]) for r in of]) for name, of in results.items()}
    print(f"mean F1: llmtune {means['llmtune']:.4f}, stock {means['stock']:.4f}", end="")
    print(f", TF-IDF + logistic regression {f1(ours[0]['reference'], ours[0]['tfidf']):.4f}")
    # One unit a row: (hit, positive, predicted) of every run; ours first.
    runs = [*ours, *peer]
    columns = [(r["reference"] & r["predicted"], r["reference"], r["predicted"]) for r in runs]
    units = np.stack([column for run in columns for column in run], axis=1).astype(float)

    def difference(sums: np.ndarray) -> np.ndarray:
        hits, positive, predicted = (sums[:, i::3] for i in range(3))
        each = 2 * hits / np.maximum(positive + predicted, 1)
        return each[:, : len(ours)].mean(axis=1) - each[:, len(ours) :].mean(axis=1)

    found = cluster_bootstrap(units, difference, seed=0)
    # None where every resample gives the same: both sides are right and wrong on the same rows.
    interval = (
        found.reason
        if found.low is None or found.high is None
        else f"95 % interval [{found.low:+.4f}, {found.high:+.4f}]"
    )
    print(f"difference of mean F1 {means['llmtune'] - means['stock']:+.4f}, {interval}")


if __name__ == "__main__":
    main()
