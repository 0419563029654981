"""Speed on one GPU beside the stock Trainer and TRL, alternating: training of BERT and Llama geometries, evaluation.

    python scripts/bench_gpu.py [--parts bert llama evaluation] [--seconds 4] [--lengths FOLDER]

Models have random weights and texts random tokens: what is measured is time, at the lengths of SMS and of film reviews
(`FOLDER/sms_spam_len.npy` and `imdb_len.npy`, token counts; drawn from log-normal distributions of the same medians
without them). Prints real tokens a second, the share of the card's bf16 matrix rate (MFU: 6 floating-point operations a
weight and token, 4 under LoRA, over 989e12 a second of an H100), padding and peak memory; at the end the ratios of
neighbouring runs and their spread. TRL is a peer where it is installed.
"""

import argparse
import contextlib
import gc
import importlib
import importlib.util
import io
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from llmtune.arguments import TrainingArguments
from llmtune.data.padding import PaddingCollator
from llmtune.models import decoder
from llmtune.tasks.causal_lm.collator import CausalLMCollator
from llmtune.tasks.losses import ClassificationLoss, TokenCrossEntropy
from llmtune.training.trainer import FineTuningTrainer

PEAK = 989e12  # bf16 products of an H100 a second, dense (NVIDIA's data sheet)
BERT_WORDS, LLAMA_WORDS, BLOCK = 30_522, 128_256, 2_048
MEDIANS = {"sms_spam": (20, 0.6, 128), "imdb": (230, 0.6, 512)}  # tokens, spread of their logarithm, most
RANDOM = np.random.default_rng(0)


class Clock(transformers.TrainerCallback):
    """Times updates from `warm` on until `seconds` are over, then ends training."""

    def __init__(self, tokens: Callable[[], int], seconds: float, warm: int) -> None:
        self.tokens, self.limit, self.warm = tokens, seconds, warm
        self.updates = 0

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After an update."""
        if state.global_step == self.warm:
            torch.cuda.synchronize()
            self.before, self.started = self.tokens(), time.perf_counter()
        elif state.global_step > self.warm and time.perf_counter() - self.started > self.limit:
            torch.cuda.synchronize()
            self.seconds = time.perf_counter() - self.started
            self.real = self.tokens() - self.before
            self.updates = state.global_step - self.warm
            control.should_training_stop = True


def counting(base: type) -> Any:
    """A Trainer class that counts real tokens without waiting for the GPU."""

    class Counting(base):
        def training_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            if not hasattr(self, "real"):
                self.real = torch.zeros((), dtype=torch.long, device=self.args.device)
            mask = inputs.get("attention_mask")
            self.real += inputs["input_ids"].numel() if mask is None else mask.sum()
            return super().training_step(model, inputs, *args, **kwargs)

    return Counting


def tokenizer() -> Any:
    """Of use for padding with id 0 alone."""
    words = Tokenizer(WordLevel({"[PAD]": 0, "</s>": 1, "<s>": 2, "[UNK]": 3}, unk_token="[UNK]"))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", eos_token="</s>", bos_token="<s>", unk_token="[UNK]"
    )


def lengths(name: str, count: int, folder: Path | None) -> np.ndarray:
    """Tokens of so many texts."""
    if folder is not None:
        return np.minimum(RANDOM.choice(np.load(folder / f"{name}_len.npy").astype(int), count), 512)
    median, spread, most = MEDIANS[name]
    return np.clip(RANDOM.lognormal(np.log(median), spread, count).astype(int), 3, most)


def rows(tokens: np.ndarray, words: int, *, of_text: bool = False) -> Dataset:
    """Random texts; each of a class, or its own target."""
    ids = [RANDOM.integers(5, words, length).tolist() for length in tokens]
    labels: Any = ids if of_text else RANDOM.integers(0, 2, len(ids)).tolist()
    return Dataset.from_dict({"input_ids": ids, "attention_mask": [[1] * len(row) for row in ids], "labels": labels})


def bert() -> Any:
    """BERT-base with random weights."""
    config = transformers.BertConfig(num_labels=2)
    with torch.device("cuda"):
        return transformers.AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)


def llama(*, lora: bool, head: str = "CausalLM") -> Any:
    """Of the size of Llama 3.2 1B, weights in bfloat16."""
    config = transformers.LlamaConfig(
        vocab_size=LLAMA_WORDS, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32,
        num_key_value_heads=8, max_position_embeddings=8192, tie_word_embeddings=True, pad_token_id=0, bos_token_id=2,
        eos_token_id=1, rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
    )  # fmt: skip
    with torch.device("cuda"):
        auto = getattr(transformers, f"AutoModelFor{head}")
        model = auto.from_config(config, dtype=torch.bfloat16)
    if lora:
        import peft

        model = peft.get_peft_model(model, lora_config(head))
    return model


def lora_config(head: str = "CausalLM") -> Any:
    """Rank 16 on every projection."""
    import peft

    task = "CAUSAL_LM" if head == "CausalLM" else "SEQ_CLS"
    return peft.LoraConfig(
        r=16, lora_alpha=32, lora_dropout=0.05, target_modules=decoder.LORA_TARGETS["llama"], task_type=task
    )


def multiplied(model: Any) -> int:
    """Weights that each token is multiplied with: all but embeddings; a tied head counts."""
    tied = "CausalLM" in type(getattr(model, "get_base_model", lambda: model)()).__name__
    return sum(
        weight.numel()
        for name, weight in model.named_parameters()
        if "lora_" not in name and ("embed" not in name or (tied and "embed_tokens" in name))
    )


def trained(make: Callable[[], Any], trainer_of: Callable[[Any], Any], seconds: float, warm: int) -> dict[str, Any]:
    """Trains for some seconds; real tokens a second, milliseconds an update, GiB."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    os.environ["ACCELERATE_MIXED_PRECISION"] = "no"  # else a Trainer before would decide for this one
    transformers.set_seed(0)
    model = make()
    weights = multiplied(model)
    factor = 4 if any("lora_" in name for name, _ in model.named_parameters()) else 6
    trainer = trainer_of(model)
    count = (lambda: int(trainer.real_tokens)) if isinstance(trainer, FineTuningTrainer) else lambda: int(trainer.real)
    clock = Clock(count, seconds, warm)
    trainer.add_callback(clock)
    with contextlib.redirect_stdout(io.StringIO()):
        trainer.train()
    rate = clock.real / clock.seconds
    return {
        "rate": rate,
        "mfu": factor * weights * rate / PEAK,
        "ms": 1e3 * clock.seconds / clock.updates,
        "gib": torch.cuda.max_memory_allocated() / 2**30,
    }


def ours(data: Dataset, collator: Any, loss: Any, **options: Any) -> Callable[[Any], Any]:
    """A Trainer of ours for a model."""
    defaults = {"eval_strategy": "no", "save_strategy": "no", "report_to": "none", "num_train_epochs": 1000}
    arguments = {**defaults, "learning_rate": 1e-5, "metric_for_best_model": "loss", **options}
    return lambda model: FineTuningTrainer(
        model=model,
        args=TrainingArguments(output_dir="/tmp/bench_gpu/ours", **arguments),
        train_dataset=data,
        data_collator=collator,
        compute_loss_func=loss,
    )


def peer(base: type, arguments: type, data: Dataset, **options: Any) -> Callable[[Any], Any]:
    """The stock Trainer, or TRL's, for a model."""
    config = {key: options.pop(key) for key in ("peft_config", "data_collator") if key in options}
    defaults = {"eval_strategy": "no", "save_strategy": "no", "report_to": "none", "num_train_epochs": 1000}
    defaults |= {"learning_rate": 1e-5, "bf16": True, "disable_tqdm": True}

    def made(model: Any) -> Any:
        args = arguments(output_dir="/tmp/bench_gpu/peer", **{**defaults, **options})
        trainer = counting(base)(model=model, args=args, train_dataset=data, processing_class=tokenizer(), **config)
        trainer.remove_callback(transformers.PrinterCallback)
        return trainer

    return made


def alternating(title: str, runs: Mapping[str, Callable[[], dict[str, Any]]], rounds: int) -> None:
    """Runs each in turn, the order reversed each round, and prints every run and the ratio to the first."""
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds):
        for name in list(runs) if turn % 2 == 0 else list(runs)[::-1]:
            seen = runs[name]()
            rates[name].append(seen["rate"])
            more = "  ".join(f"{key} {value:,.3g}" for key, value in seen.items() if key != "rate")
            print(f"{title:<34} {name:<26} {seen['rate']:>10,.0f} /s  {more}", flush=True)
    first, *others = runs
    for name in others:
        ratios = [a / b for a, b in zip(rates[first], rates[name], strict=True)]
        print(f"{title:<34} {first} / {name}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def bert_part(options: argparse.Namespace) -> None:
    """BERT-base at two lengths: real tokens a second of training."""
    pad = transformers.DataCollatorWithPadding(tokenizer())
    for name, count in (("sms_spam", 16_000), ("imdb", 4_000)):
        data = rows(lengths(name, count, options.lengths), BERT_WORDS)
        cut = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 4}
        train = ours(data, PaddingCollator(tokenizer()), ClassificationLoss(), **cut)
        eager = ours(data, PaddingCollator(tokenizer()), ClassificationLoss(), **cut, cuda_graphs=False)
        stock = peer(
            transformers.Trainer, transformers.TrainingArguments, data, per_device_train_batch_size=32,
            data_collator=pad,
        )  # fmt: skip
        runs = {
            "llmtune 8 x 4": partial(trained, bert, train, options.seconds, 60),
            "llmtune 8 x 4, no graphs": partial(trained, bert, eager, options.seconds, 20),
            "stock Trainer 32": partial(trained, bert, stock, options.seconds, 20),
        }
        alternating(f"bert-base, lengths of {name}", runs, options.rounds)


def llama_part(options: argparse.Namespace) -> None:
    """Llama of 1 B: full fine-tuning and LoRA on blocks of 2,048 tokens, LoRA of a classifier on short texts."""
    data = rows(np.full(300, BLOCK), LLAMA_WORDS, of_text=True)
    batch = {"per_device_train_batch_size": 4}
    for lora in (False, True):
        train = ours(data, CausalLMCollator(tokenizer()), TokenCrossEntropy(True), **batch)
        runs = {"llmtune": partial(trained, partial(llama, lora=lora), train, options.seconds, 4)}
        if importlib.util.find_spec("trl"):
            peers: Any = importlib.import_module("trl")

            plain = data.remove_columns(["attention_mask", "labels"])
            more = {"peft_config": lora_config()} if lora else {}
            trl = peer(
                peers.SFTTrainer, peers.SFTConfig, plain, **batch, **more, packing=True, packing_strategy="wrapped",
                max_length=BLOCK, gradient_checkpointing=False,
            )  # fmt: skip
            runs["TRL"] = partial(trained, partial(llama, lora=False), trl, options.seconds, 4)
        alternating(f"Llama 1B, {'LoRA' if lora else 'full'}, 4 x {BLOCK}", runs, options.rounds)
    short = rows(np.minimum(lengths("sms_spam", 6_000, options.lengths) + 2, 128), LLAMA_WORDS)
    train = ours(
        short, PaddingCollator(tokenizer()), ClassificationLoss(), per_device_train_batch_size=4,
        gradient_accumulation_steps=8,
    )  # fmt: skip
    head = "SequenceClassification"
    alternating(
        "Llama 1B, LoRA, classes of SMS",
        {"llmtune 4 x 8": partial(trained, partial(llama, lora=True, head=head), train, options.seconds, 40)},
        1,
    )


def evaluation_part(options: argparse.Namespace) -> None:
    """BERT-base on texts of mixed length: rows a second of an evaluation."""
    count = options.evaluated
    tokens = np.concatenate(
        [lengths("sms_spam", count * 4 // 5, options.lengths), lengths("imdb", count // 5, options.lengths)]
    )
    RANDOM.shuffle(tokens)
    data = rows(tokens, BERT_WORDS).remove_columns("labels")
    pad, batch = transformers.DataCollatorWithPadding(tokenizer()), {"per_device_eval_batch_size": 64}

    def rate(trainer: Any) -> dict[str, Any]:
        torch.cuda.reset_peak_memory_stats()
        trainer.predict(data.select(range(256)))
        torch.cuda.synchronize()
        started = time.perf_counter()
        trainer.predict(data)
        torch.cuda.synchronize()
        seconds = time.perf_counter() - started
        return {"rate": len(data) / seconds, "gib": torch.cuda.max_memory_allocated() / 2**30}

    stock = peer(transformers.Trainer, transformers.TrainingArguments, data, **batch, data_collator=pad)
    own = ours(data, PaddingCollator(tokenizer()), ClassificationLoss(), **batch)
    runs = {
        "llmtune": lambda: rate(own(bert())),
        "llmtune, weights in bf16": lambda: rate(own(bert().to(torch.bfloat16))),
        "stock Trainer, bf16": lambda: rate(stock(bert())),
    }
    alternating(f"bert-base, evaluation of {count:,} rows", runs, options.rounds)


PARTS = {"bert": bert_part, "llama": llama_part, "evaluation": evaluation_part}


def main() -> None:
    """Runs the parts in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=4, help="of each run, after it is warm")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--evaluated", type=int, default=20_000, help="rows of the evaluation")
    parser.add_argument("--lengths", type=Path, help="folder with sms_spam_len.npy and imdb_len.npy")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("bench_gpu.py: found no CUDA device; run it on a machine with one")
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, transformers {transformers.__version__}")
    for part in options.parts:
        PARTS[part](options)


if __name__ == "__main__":
    main()
