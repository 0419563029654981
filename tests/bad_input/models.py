"""Bad checkpoints and run folders: a file of a good one that a program or a person changed."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class BadModel(NamedTuple):
    """One case.

    Args:
        name: of the case.
        harm: changes the folder.
        says: texts that the message holds.
        commands: which read it: predict, evaluate, train (goes on from it), check (its tokenizer), merge.
    """

    name: str
    harm: Callable[[Path], object]
    says: tuple[str, ...]
    commands: tuple[str, ...] = ("predict", "evaluate")


def config(**changed: Any) -> Callable[[Path], None]:
    """Other values in config.json."""

    def harm(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))

    return harm


def content(name: str, written: bytes) -> Callable[[Path], object]:
    """Another content of a file."""
    return lambda folder: (folder / name).write_bytes(written)


def cut(name: str, size: int) -> Callable[[Path], object]:
    """Only the first bytes of a file; of a negative number all but the last."""
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def without(name: str) -> Callable[[Path], object]:
    """A file less."""
    return lambda folder: (folder / name).unlink()


def pipe(name: str) -> Callable[[Path], object]:
    """A named pipe in the place of a file, which nobody writes to."""

    def harm(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return harm


def tokenizer(**changed: Any) -> Callable[[Path], None]:
    """Other values in tokenizer.json."""

    def harm(folder: Path) -> None:
        path = folder / "tokenizer.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))

    return harm


ALL = ("predict", "evaluate", "train")
READS_TOKENIZER = (*ALL, "check")
SAYS = ("not loadable",)
MODELS = [
    BadModel("no weights", without("model.safetensors"), ("model",), ALL),
    BadModel("empty weights", content("model.safetensors", b""), SAYS, ALL),
    BadModel("weights cut in the header", cut("model.safetensors", 40), SAYS, ALL),
    BadModel("weights cut in the values", cut("model.safetensors", -100), SAYS, ALL),
    BadModel("weights of zeros", content("model.safetensors", b"\0" * 500), SAYS, ALL),
    BadModel("weights that promise too much", content("model.safetensors", b"\xff" * 8 + b"{}"), SAYS, ALL),
    BadModel(
        "weights that are a pipe",
        pipe("model.safetensors"),
        ("model.safetensors: is a named pipe, expected a file; write what comes through it into a file",),
        ALL,
    ),
    BadModel("no config", without("config.json"), ("config.json",), ALL),
    BadModel("config that is a pipe", pipe("config.json"), ("config.json: is a named pipe, expected a file",), ALL),
    BadModel("config of a list", content("config.json", b"[]"), ("not loadable",)),
    BadModel("config cut", cut("config.json", 30), ("config.json",), ALL),
    BadModel("unknown type", config(model_type="elephant"), ("elephant",), ALL),
    BadModel("type of a number", config(model_type=3), (), ALL),
    BadModel("labels twice", config(id2label={"0": "ham", "1": "ham"}), ("'ham'", "twice")),
    BadModel("labels of null", config(id2label=None), ()),
    BadModel("labels of a list", config(id2label=["ham", "spam"]), ()),
    BadModel("labels by words", config(id2label={"a": "ham", "b": "spam"}), ()),
    BadModel("hidden size of text", config(hidden_size="16"), (), ALL),
    BadModel("hidden size of zero", config(hidden_size=0), (), ALL),
    BadModel("hidden size below zero", config(hidden_size=-16), (), ALL),
    BadModel("another hidden size", config(hidden_size=18), (), ALL),
    BadModel("heads that do not divide", config(num_attention_heads=3), (), ALL),
    BadModel("layers of null", config(num_hidden_layers=None), (), ALL),
    BadModel("activation", config(hidden_act="magic"), ("magic",), ALL),
    BadModel("dropout", config(hidden_dropout_prob=7), (), ALL),
    BadModel("vocabulary of zero", config(vocab_size=0), (), ALL),
    BadModel("another architecture", config(architectures=["Elephant"], llmtune={}), ("Elephant",)),
    BadModel("architectures of a number", config(architectures=3, llmtune={}), ()),
    BadModel("task unknown", config(llmtune={"task": "poetry"}), ("its task is 'poetry'; served are",)),
    BadModel("threshold", config(llmtune={"task": "classification", "threshold": 7}), ("field threshold: found 7",)),
    BadModel("positive label", config(llmtune={"task": "text-classification", "positive_label": "eggs"}), ("eggs",)),
    BadModel("no tokenizer", without("tokenizer.json"), (), READS_TOKENIZER),
    BadModel("empty tokenizer", content("tokenizer.json", b""), ("not loadable",)),
    BadModel("tokenizer cut", cut("tokenizer.json", 200), (), READS_TOKENIZER),
    BadModel("tokenizer of a list", content("tokenizer.json", b"[]"), (), READS_TOKENIZER),
    BadModel("tokenizer without a model", tokenizer(model=None), (), READS_TOKENIZER),
    BadModel("tokenizer of an unknown model", tokenizer(model={"type": "Magic"}), (), READS_TOKENIZER),
    BadModel("tokenizer with a padding of text", tokenizer(padding="left"), (), READS_TOKENIZER),
    BadModel("tokenizer with tokens of text", tokenizer(added_tokens="[PAD]"), (), READS_TOKENIZER),
    BadModel("tokenizer of a later version", tokenizer(version="9.0"), (), READS_TOKENIZER),
    BadModel("special token of a number", content("tokenizer_config.json", b'{"cls_token": 3}'), (), READS_TOKENIZER),
    BadModel("tokenizer config of a list", content("tokenizer_config.json", b"[]"), (), READS_TOKENIZER),
    BadModel("tokenizer config of null", content("tokenizer_config.json", b"null"), (), READS_TOKENIZER),
]
ADAPTERS = [
    BadModel("adapter cut", cut("adapter_model.safetensors", -50), (), ("predict", "merge")),
    BadModel("no adapter", without("adapter_model.safetensors"), (), ("predict", "merge")),
    BadModel("adapter of zeros", content("adapter_model.safetensors", b"\0" * 99), (), ("predict", "merge")),
    BadModel(
        "adapter config of rank 0",
        content("adapter_config.json", b'{"peft_type": "LORA", "r": 0}'),
        (),
        ("predict", "merge"),
    ),
    BadModel("adapter config of no type", content("adapter_config.json", b"{}"), (), ("predict", "merge")),
    BadModel(
        "adapter config of an unknown type",
        content("adapter_config.json", b'{"peft_type": "MAGIC"}'),
        (),
        ("predict", "merge"),
    ),
    BadModel(
        "base of a number", content("adapter_config.json", b'{"base_model_name_or_path": 3}'), (), ("predict", "merge")
    ),
    BadModel("base weights cut", cut("base_model/model.safetensors", -50), (), ("predict", "merge")),
]
RUNS = [
    ("run.json is a pipe", pipe("run.json"), ("run.json: is a named pipe, expected a file",)),
    ("data without a hash", content("run.json", b'{"data": {"test": {"rows": 3}}}'), ("no field data.test.sha256",)),
    ("steps of text", content("run.json", b'{"training": {"steps": "many"}}'), ("field training.steps: found 'many'",)),
    (
        "seconds of text",
        content("run.json", b'{"training": {"train_seconds": "1"}}'),
        ("field training.train_seconds",),
    ),
    ("table is a pipe", pipe("predictions/test.parquet"), ("test.parquet: is a named pipe, expected a file",)),
    ("table cut", cut("predictions/test.parquet", 200), ("test.parquet: not readable as parquet",)),
    ("table of text", content("predictions/test.parquet", b"a,b"), ("test.parquet: not readable as parquet",)),
    (
        "baseline cut",
        cut("predictions/baselines/majority.parquet", 200),
        ("majority.parquet: not readable as parquet",),
    ),
]
