"""What reads: each format through the command or recipe that takes it, with valid inputs to change."""

import importlib.util
import io
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet

RECIPES = Path(__file__).parents[2] / "recipes"
TINY = (
    "--model_type lstm --config_overrides embedding_size=4,hidden_size=4 --tokenizer_vocab_size 300 --max_steps 1 "
    "--per_device_train_batch_size 4 --cpu_threads 1 --check_saved_model False --report_to none"
)
BERT = "--model_type bert --config_overrides hidden_size=8,num_hidden_layers=1,num_attention_heads=1"
LLAMA = f"{BERT},num_key_value_heads=1,head_dim=8".replace("bert", "llama")


SOME = ("--max_train_samples", "60", "--max_eval_samples", "120")
LIMITS = {
    "forecasting": ("--time_column", "day", "--target_column", "sales", "--series_column", "stall", "--lookback", "5"),
    "text_regression": (*SOME, "--label_column", "rent"),
    **dict.fromkeys(("spam", "ner", "text_classification"), SOME),
}


@dataclass(frozen=True)
class Target:
    """One sort of input.

    Args:
        name: of it.
        form: what `mutate` may change beside the bytes.
        seeds: valid inputs.
        read: reads an input, in a folder that is empty at first; what a run would leave goes into its folder `out`.
        seconds: after which it hangs; a recipe's run takes longer than a reader.
    """

    name: str
    form: str
    seeds: tuple[bytes, ...]
    read: Callable[[bytes, Path], object]
    seconds: float = 10.0

    def call_once(self) -> None:
        """Reads a seed."""
        with tempfile.TemporaryDirectory() as folder:
            self.read(self.seeds[0], Path(folder))


class _Begun(Exception):
    """The recipe has read, loaded and encoded all: training would begin."""


@cache
def recipe(name: str) -> ModuleType:
    """The module of a recipe."""
    spec = importlib.util.spec_from_file_location(name, RECIPES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _command(*argv: str) -> object:
    from llmtune import cli

    return cli.run(argv)


def _check(ending: str, content: bytes, folder: Path) -> None:
    path = folder / f"train{ending}"
    path.write_bytes(content)
    _command("check", str(path))


def _table(ending: str, kind: str, content: bytes, folder: Path) -> None:
    path = folder / f"table{ending}"
    path.write_bytes(content)
    said = ["--kind", kind] if kind else []
    _command("report", str(path), *said)
    _command("compare", str(path), str(path), *said)


def _recipe_rows(name: str, ending: str, flags: str, valid: bytes, content: bytes, folder: Path) -> None:
    """Up to where training would begin; validation and test are what `valid` says, of a series a part of train."""
    path, other = folder / f"train{ending}", folder / f"other{ending}"
    path.write_bytes(content)
    other.write_bytes(valid)
    argv = ["--train_file", str(path), *TINY.split(), *flags.split(), "--output_dir", str(folder / "out")]
    argv += [] if name == "forecasting" else ["--validation_file", str(other), "--test_file", str(other)]
    _up_to_training(recipe(name), argv)


def _up_to_training(module: Any, argv: list[str]) -> None:
    begun, module.begin_run = module.begin_run, _begin
    try:
        module.main(argv)
    except _Begun:
        return
    finally:
        module.begin_run = begun


def _begin(*arguments: object) -> None:
    raise _Begun


def _recipe_arguments(name: str, content: bytes, folder: Path) -> None:
    """A run of one step."""
    _, *words = content.decode().split("\n")
    demo = RECIPES / "demo" / name
    data = next(demo.glob("train.*"), demo / "series.csv")
    argv = ["--train_file", str(data), *LIMITS.get(name, ()), *TINY.split(), *words]
    recipe(name).main([*argv, "--output_dir", str(folder / "out")])


def _config_file(content: bytes, folder: Path) -> None:
    (folder / "config.yaml").write_bytes(content)
    demo = RECIPES / "demo" / "spam" / "train.csv"
    argv = ["--config", str(folder / "config.yaml"), "--train_file", str(demo), "--max_train_samples", "60"]
    _up_to_training(recipe("spam"), [*argv, *TINY.split(), "--output_dir", str(folder / "out")])


def _in_run(name: str, content: bytes, folder: Path) -> None:
    run = shutil.copytree(_run(), folder / "run")
    (run / name).write_bytes(content)
    _command("compare", str(run), str(run))
    _command("push", str(run), "--repo_id", "user/name", "--dry_run")
    _command("report", str(run))


def _in_model(name: str, content: bytes, folder: Path) -> None:
    model = shutil.copytree(_model(), folder / "model")
    (model / name).write_bytes(content)
    _command("predict", "--model", str(model), "--text", "see you", "win a prize now", "--cpu_threads", "1")


@cache
def _run() -> Path:
    """A run of the spam recipe: a step, and all its files."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-run-")) / "run"
    demo = RECIPES / "demo" / "spam" / "train.csv"
    limit = ["--max_train_samples", "60", "--max_eval_samples", "120"]
    recipe("spam").main(["--train_file", str(demo), *limit, *TINY.split(), "--output_dir", str(folder)])
    return folder


@cache
def _model() -> Path:
    """The same run without what prediction does not read."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-model-"))
    for path in _run().iterdir():
        if (
            path.is_file()
            and path.suffix in (".json", ".safetensors")
            and path.name not in ("run.json", "metrics.json")
        ):
            shutil.copy(path, folder)
    return folder


def _text(name: str) -> bytes:
    return (RECIPES / "demo" / name).read_bytes()


def _head(name: str, lines: int = 30) -> bytes:
    return b"\n".join(_text(name).split(b"\n")[:lines])


def _lines_to_table(content: bytes) -> bytes:
    rows = [json.loads(line) for line in content.decode().split("\n") if line.strip()]
    written = io.BytesIO()
    pa.parquet.write_table(pa.Table.from_pylist(rows), written)
    return written.getvalue()


def _rows(*rows: dict[str, Any]) -> bytes:
    return "\n".join(json.dumps(row) for row in rows * 6).encode()


SQUAD = (
    json.dumps({"data": json.loads(_text("question_answering/train.json"))["data"][:2]}).encode()
    if (b'"data"' in _text("question_answering/train.json")[:2000])
    else json.dumps(json.loads(_text("question_answering/train.json"))[:20]).encode()
)
SPAM, SPAM_LINES = (
    _head("spam/train.csv"),
    _rows({"text": "see you", "label": "ham"}, {"text": "win now", "label": "spam"}),
)
CONLL = b"-DOCSTART- O\n\nAda B-PER\nmet O\nMr B-PER\nKay I-PER\n\n# id = 3\nin O\nRome B-LOC\n. O\n" * 8
LABEL_SETS = _rows({"text": "you fool", "labels": ["toxic", "insult"]}, {"text": "fine day", "labels": []})
SPANS = _rows(
    {"text": "Ada met Kay", "spans": [{"start": 0, "end": 3, "label": "PER"}]}, {"text": "no one", "spans": []}
)
DOCCANO = _rows({"text": "Ada met Kay", "label": [[0, 3, "PER"]]}, {"text": "Rome", "label": [[0, 4, "LOC"]]})
STUDIO = json.dumps(
    [
        {
            "id": i,
            "data": {"text": "Ada met"},
            "annotations": [{"result": [{"value": {"start": 0, "end": 3, "labels": ["PER"]}}]}],
        }
        for i in range(6)
    ]
).encode()
COMPLETIONS = _rows({"prompt": "2 + 2 =", "completion": " 4"}, {"prompt": "le chat:", "completion": " the cat"})
CHATS = _rows({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]})
PAIRS = _rows(
    {"source": "le chat", "target": "the cat sat on the mat"},
    {"source": "un chien", "target": "a dog ran over the hill"},
)
NUMBERS = _rows({"text": "good", "label": 4.5}, {"text": "bad", "label": 1.0}, {"text": "so so", "label": 2.25})
TABLES = {
    "classification": _rows(
        {"reference": "spam", "prediction": "ham", "probabilities": [0.7, 0.3], "text": "a", "group": "x"},
        {"reference": "ham", "prediction": "ham", "probabilities": [0.9, 0.1], "text": "b", "group": "y"},
        {"reference": "spam", "prediction": "spam", "probabilities": [0.2, 0.8], "text": "c", "group": "x"},
    ),
    "multilabel-classification": _rows(
        {"reference": ["toxic"], "prediction": ["toxic", "insult"], "probabilities": [0.9, 0.8]},
        {"reference": [], "prediction": ["insult"], "probabilities": [0.1, 0.6]},
    ),
    "token-classification": _rows(
        {"tokens": ["Ada", "ran"], "reference": ["B-PER", "O"], "prediction": ["O", "O"]},
        {"tokens": ["in", "Rome"], "reference": ["O", "B-LOC"], "prediction": ["O", "B-LOC"]},
    ),
    "text-generation": _rows({"source": "le chat", "reference": "the cat", "prediction": "a cat"}),
    "question-answering": _rows({"question": "Where?", "reference": ["Paris"], "prediction": "in Paris"}),
    "language-modeling": _rows({"nll": 12.3, "tokens": 5}, {"nll": 2.5, "tokens": 3}),
    "regression": _rows({"reference": 1.5, "prediction": 1.4}, {"reference": 2.5, "prediction": 2.0}),
}


def _xlsx() -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    for row in [("text", "label"), *[("see you", "ham"), ("win now", "spam")] * 6]:
        book.active.append(row)
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def _run_file(name: str) -> bytes:
    return (_run() / name).read_bytes()


def _flags(name: str) -> bytes:
    """The flags of a recipe, in one line."""
    from llmtune.arguments import DataArguments, ModelArguments, TrainingArguments

    module = recipe(name)
    task = next(value for key, value in vars(module).items() if key.endswith("Arguments"))
    groups = (DataArguments, task, ModelArguments, TrainingArguments)
    skipped = (
        "output_dir",
        "push_to_hub",
        "train_file",
        "search",
        "config",
        "local_rank",
        "deepspeed",
        "fsdp",
        "debug",
    )
    names = [field for group in groups for field, about in group.__dataclass_fields__.items() if about.init]
    return " ".join(name for name in names if not name.startswith(skipped) and "hub" not in name).encode()


def _all() -> dict[str, Target]:
    lists: list[tuple[str, str, tuple[bytes, ...], Callable[[bytes, Path], object]]] = [
        ("csv", "csv", (SPAM,), partial(_check, ".csv")),
        ("tsv", "bytes", (b"text\tlabel\nsee you\tham\nwin now\tspam\n" * 3,), partial(_check, ".tsv")),
        ("jsonl", "jsonl", (SPAM_LINES, LABEL_SETS, SPANS, DOCCANO, PAIRS), partial(_check, ".jsonl")),
        ("json", "json", (SQUAD, STUDIO), partial(_check, ".json")),
        ("conll", "bytes", (CONLL,), partial(_check, ".conll")),
        ("txt", "bytes", (b"one line\n\nand another\n" * 9,), partial(_check, ".txt")),
        ("xlsx", "bytes", (_xlsx(),), partial(_check, ".xlsx")),
        (
            "parquet",
            "parquet",
            tuple(map(_lines_to_table, (SPAM_LINES, LABEL_SETS, SPANS, PAIRS, NUMBERS))),
            partial(_check, ".parquet"),
        ),
        ("config.yaml", "bytes", (b"learning_rate: 1e-4\nseed: 3\nlabel_column: label\n",), _config_file),
    ]
    of_recipes = [
        ("spam", ".csv", "csv", SPAM, ""),
        ("spam", ".parquet", "parquet", _lines_to_table(SPAM_LINES), ""),
        ("text_classification", ".jsonl", "jsonl", LABEL_SETS, ""),
        ("text_regression", ".jsonl", "jsonl", NUMBERS, ""),
        ("text_regression", ".parquet", "parquet", _lines_to_table(NUMBERS), ""),
        ("ner", ".conll", "bytes", CONLL, ""),
        ("ner", ".jsonl", "jsonl", SPANS, "--input_format spans"),
        ("ner", ".parquet", "parquet", _lines_to_table(_head("ner/train.jsonl")), ""),
        ("question_answering", ".json", "json", SQUAD, BERT),
        ("translation", ".jsonl", "jsonl", PAIRS, LLAMA),
        ("causal_lm", ".jsonl", "jsonl", COMPLETIONS, f"--input_format prompt_completion {LLAMA}"),
        ("causal_lm", ".txt", "bytes", b"one line of text\n\nand another\n" * 20, LLAMA),
        (
            "forecasting",
            ".csv",
            "csv",
            _head("forecasting/series.csv", 200),
            "--lookback 5 --time_column day --target_column sales",
        ),
    ]
    lists += [
        (f"{name} {ending}", form, (seed,), partial(_recipe_rows, name, ending, flags, seed))
        for name, ending, form, seed, flags in of_recipes
    ]
    for kind, rows in TABLES.items():
        lists.append((f"table {kind}", "jsonl", (rows,), partial(_table, ".jsonl", kind)))
        lists.append((f"parquet {kind}", "parquet", (_lines_to_table(rows),), partial(_table, ".parquet", kind)))
    lists.append(
        (
            "csv table",
            "csv",
            (b"reference,prediction\nspam,ham\nham,ham\n" * 1,),
            partial(_table, ".csv", "classification"),
        )
    )
    for name, form in (
        ("run.json", "json"),
        ("metrics.json", "json"),
        ("verdict.json", "json"),
        ("predictions/test.parquet", "parquet"),
        ("config.yaml", "bytes"),
    ):
        lists.append((f"run {name}", form, (_run_file(name),), partial(_in_run, name)))
    for name, form in (
        ("config.json", "json"),
        ("tokenizer.json", "json"),
        ("tokenizer_config.json", "json"),
        ("model.safetensors", "bytes"),
    ):
        lists.append((f"model {name}", form, (_run_file(name),), partial(_in_model, name)))
    for name in ("spam", "ner", "text_classification", "text_regression", "forecasting"):
        lists.append((f"arguments {name}", "arguments", (_flags(name),), partial(_recipe_arguments, name)))
    return {
        name: Target(name, form, seeds, read, 60.0 if form == "arguments" else 10.0)
        for name, form, seeds, read in lists
    }


TARGETS = _all()
if __name__ == "__main__":
    sys.exit("this module is read by scripts/fuzz_readers.py")
