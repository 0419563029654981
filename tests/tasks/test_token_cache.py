"""A second run reads the tokens of the first where they are what it would make itself, and nothing else."""

import json
import os
import runpy
import shutil
import subprocess
import time
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import datasets
import numpy as np
import pytest
from transformers import AutoTokenizer

from llmtune.arguments import DataArguments, TrainingArguments
from llmtune.arguments.parser import Arguments
from llmtune.models.from_scratch import train_tokenizer
from llmtune.tasks import token_cache
from llmtune.tasks.causal_lm.task import CausalLM
from llmtune.tasks.forecasting.task import Forecasting
from llmtune.tasks.question_answering.task import QuestionAnswering
from llmtune.tasks.registry import tasks
from llmtune.tasks.text_classification.task import TextClassification
from llmtune.tasks.text_windows import Windows
from llmtune.tasks.token_cache import TokenCache, code_hash, delete_oldest, describe_tokenizer, reading_lines
from llmtune.tasks.token_classification.task import TokenClassification
from llmtune.tasks.translation import Translation
from tests.training.test_processes import PYTHON

ROOT = Path(__file__).parents[2]
TEXTS = [f"the {word} rained on day {number}" for number, word in enumerate(("cat", "dog", "end", "sky") * 5)]
CONTEXTS = [f"{text} and {TEXTS[0]} and so on it went" for text in TEXTS[:2] for _ in range(10)]
TASK = TextClassification(("no", "yes"), "yes", max_length=8)
TEXT_ROWS = {"text": TEXTS, "label": ["yes", "no"] * 10}
ANSWERS = {"text": ["day"], "answer_start": [CONTEXTS[0].index("day")]}
# fmt: off
CASES = {
    "text-classification": (TASK, TEXT_ROWS),
    "windows of long texts": (replace(TASK, windows=Windows(2, "mean")), TEXT_ROWS),
    "token-classification": (
        TokenClassification(("O", "B-X", "I-X"), max_length=8, stride=2),
        {"tokens": [text.split() for text in TEXTS], "tags": [["B-X", "I-X", *"OOOO"] for _ in TEXTS]},
    ),
    "question-answering": (
        QuestionAnswering(max_length=20, doc_stride=2),
        {"question": TEXTS, "context": CONTEXTS, "answers": [ANSWERS] * 20},
    ),
    "causal-lm": (CausalLM(max_length=12, packing=True), {"text": TEXTS}),
    "translation": (
        Translation(max_source_length=20, max_target_length=8, max_new_tokens=8), {"source": TEXTS, "target": TEXTS}
    ),
}
# fmt: on


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """Where the cache lies; entries of any size are kept."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(token_cache, "LEAST_BYTES", 0)
    return tmp_path / "cache" / "llmtune-tokens"


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    training = TrainingArguments(output_dir=str(tmp_path_factory.mktemp("run")), use_cpu=True)

    def of_run(**data):
        return Arguments(DataArguments(**data), None, None, training)

    return of_run


def tokenizer_of(model_type="bert", size=100):
    return train_tokenizer(model_type, TEXTS + CONTEXTS, size, 64)


def splits_of(columns=TEXT_ROWS, **changes):
    rows = datasets.Dataset.from_dict({**columns, **changes})
    return {"train": rows, "validation": rows.select(range(5)), "test": rows.select(range(5, 9))}


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


def assert_same(ours, theirs):
    """Equal in all but where they came from."""
    assert ours.dataset.features == theirs.dataset.features
    assert ours.dataset.to_dict() == theirs.dataset.to_dict()
    assert (ours.facts, list(ours.notes), ours.split) == (theirs.facts, list(theirs.notes), theirs.split)
    assert type(ours.index) is type(theirs.index)
    for member in fields(ours.index) if is_dataclass(ours.index) else ():
        values = [getattr(encoded.index, member.name) for encoded in (ours, theirs)]
        if not isinstance(values[0], datasets.Dataset):
            np.testing.assert_equal(*values)


@pytest.mark.parametrize("case", CASES)
def test_what_is_read_equals_what_was_made(case, arguments, folder):
    task, columns = CASES[case]
    model_type = {"causal-lm": "llama", "translation": "marian"}.get(case, "bert")
    made, read, plain = (
        task.encode_splits(splits_of(columns), tokenizer_of(model_type), *more)
        for more in ([arguments()], [arguments()], [])
    )

    assert len(entries(folder)) == 3
    for split in made:
        assert (made[split].cached_in, plain[split].cached_in) == (None, None)
        assert read[split].cached_in.name in entries(folder)
        assert_same(read[split], made[split])
        assert_same(read[split], plain[split])


def test_a_tokenizer_is_left_as_making_the_tokens_leaves_it(arguments, tmp_path):
    """A run saves it: its tokenizer.json must not tell whether there was a cache."""
    for run in ("first", "second"):
        tokenizer = tokenizer_of()
        tokenizer(["a", "b"], padding="max_length", max_length=5)
        TASK.encode_splits(splits_of(), tokenizer, arguments())
        tokenizer.save_pretrained(tmp_path / run)

    first, second = ((tmp_path / run / "tokenizer.json").read_bytes() for run in ("first", "second"))
    assert first == second
    assert json.loads(first)["truncation"]["max_length"] == 8


OTHER = {
    "a letter of a row": dict(rows={"text": [*TEXTS[:-1], TEXTS[-1] + "s"]}),
    "the label of a row": dict(rows={"label": ["no", *TEXT_ROWS["label"][1:]]}),
    "the order of the rows": dict(rows={name: cells[::-1] for name, cells in TEXT_ROWS.items()}),
    "another column": dict(rows={"group": ["a"] * 20}),
    "max_length": dict(task={"max_length": 9}),
    "windows": dict(task={"windows": Windows(2, "mean")}),
    "the pooling of windows": dict(task={"windows": Windows(2, "max")}),
    "the names of the labels": dict(task={"label_names": ("yes", "no")}),
    "the vocabulary": dict(tokenizer=lambda: tokenizer_of(size=60)),
    "the type of the tokenizer": dict(tokenizer=lambda: tokenizer_of("roberta")),
    "a token that was added": dict(tokenizer=lambda: _changed(lambda it: it.add_tokens(["rained"]))),
    "the side that is cut": dict(tokenizer=lambda: _changed(lambda it: setattr(it, "truncation_side", "left"))),
    "the chat template": dict(tokenizer=lambda: _changed(lambda it: setattr(it, "chat_template", "{{ messages }}"))),
    "the normalizer": dict(tokenizer=lambda: _changed(lambda it: setattr(it.backend_tokenizer, "normalizer", None))),
}


def _changed(change):
    tokenizer = tokenizer_of()
    change(tokenizer)
    return tokenizer


@pytest.mark.parametrize("what", OTHER)
def test_another_row_setting_or_tokenizer_is_made_anew(what, arguments):
    rows, task, tokenizer = (OTHER[what].get(name, {}) for name in ("rows", "task", "tokenizer"))
    TASK.encode_splits(splits_of(), tokenizer_of(), arguments())

    other = replace(TASK, **task)
    encoded = other.encode_splits(splits_of(**rows), (tokenizer or tokenizer_of)(), arguments())

    assert encoded["train"].cached_in is None
    assert_same(encoded["train"], other.encode(splits_of(**rows)["train"], (tokenizer or tokenizer_of)(), "train"))


def test_other_code_or_libraries_are_made_anew(arguments, monkeypatch):
    TASK.encode_splits(splits_of(), tokenizer_of(), arguments())

    for name, other in (("code_hash", lambda: "other"), ("version", lambda library: "0.1")):
        with monkeypatch.context() as patch:
            patch.setattr(token_cache, name, other)
            assert TASK.encode_splits(splits_of(), tokenizer_of(), arguments())["train"].cached_in is None


def test_names_and_places_are_not_in_the_key(tmp_path):
    tokenizer_of().save_pretrained(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    first, second = (AutoTokenizer.from_pretrained(tmp_path / name) for name in "ab")
    second(["a", "b"], truncation=True, padding=True, max_length=3)  # nor is what its last call left

    assert first.name_or_path != second.name_or_path
    assert describe_tokenizer(first) == describe_tokenizer(second)


def test_metrics_do_not_decide_what_is_kept(arguments):
    TASK.encode_splits(splits_of(), tokenizer_of(), arguments())

    task = replace(TASK, metrics=("accuracy", lambda predictions, references: 1.0))
    assert task.encode_splits(splits_of(), tokenizer_of(), arguments())["train"].cached_in is not None


def test_the_key_knows_all_sources(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text("x = 1")
    monkeypatch.setattr(token_cache.llmtune, "__file__", str(tmp_path / "__init__.py"))
    hashes = []
    for name, text in (("a.py", "x = 1"), ("a.py", "x = 2"), ("b.py", "x = 2")):
        (tmp_path / name).write_text(text)
        code_hash.cache_clear()
        hashes.append(code_hash())
    code_hash.cache_clear()

    assert len(set(hashes)) == 3


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "a flipped bit among the tokens": lambda entry: _flip(next((entry / "inputs").glob("*.arrow"))),
    "a flipped bit in the notes": lambda entry: _flip(entry / "content.json"),
    "half a file": lambda entry: os.truncate(next((entry / "inputs").glob("*.arrow")), 100),
    "no index": lambda entry: (entry / "index.npz").unlink(),
    "no checksums": lambda entry: (entry / "sha256.json").unlink(),
    "checksums that are none": lambda entry: (entry / "sha256.json").write_bytes(b"\xff{"),
    "nothing": lambda entry: [shutil.rmtree(entry), entry.mkdir()],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_said_and_made_again(damage, arguments, folder, capsys):
    task, columns = CASES["token-classification"]
    task.encode_splits(splits_of(columns), tokenizer_of(), arguments())
    for name in entries(folder):
        DAMAGES[damage](folder / name)

    again = task.encode_splits(splits_of(columns), tokenizer_of(), arguments())

    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith(f"the kept tokens in {folder}")]
    assert len(lines) == 3
    assert all(line.endswith("; they are made again") for line in lines)
    if damage in ("a flipped bit among the tokens", "a flipped bit in the notes", "half a file", "no index"):
        assert all("its files are not those that were written" in line for line in lines)
    assert again["train"].cached_in is None
    assert_same(again["train"], task.encode(splits_of(columns)["train"], tokenizer_of(), "train"))
    assert task.encode_splits(splits_of(columns), tokenizer_of(), arguments())["train"].cached_in is not None
    assert "the kept tokens" not in capsys.readouterr().err


def test_overwrite_cache_makes_them_anew_and_keeps_those(arguments, folder):
    TASK.encode_splits(splits_of(), tokenizer_of(), arguments())
    before = {name: (folder / name / "content.json").stat().st_ino for name in entries(folder)}

    again = TASK.encode_splits(splits_of(), tokenizer_of(), arguments(overwrite_cache=True))

    assert all(part.cached_in is None for part in again.values())
    after = {name: (folder / name / "content.json").stat().st_ino for name in entries(folder)}
    assert after.keys() == before.keys()
    assert all(after[name] != before[name] for name in before)
    assert TASK.encode_splits(splits_of(), tokenizer_of(), arguments())["test"].cached_in is not None


def test_texts_that_shall_lie_nowhere_are_not_kept(arguments, folder):
    TASK.encode_splits(splits_of(), tokenizer_of(), arguments(no_examples=True))

    assert not folder.exists()


def test_caching_is_turned_off_as_that_of_datasets(arguments, folder):
    datasets.disable_caching()
    try:
        TASK.encode_splits(splits_of(), tokenizer_of(), arguments())
    finally:
        datasets.enable_caching()

    assert not folder.exists()


class OwnTask(TextClassification):
    """Somebody's, whose code is in no key."""


class OwnTokenizer(type(tokenizer_of())):
    """Likewise."""


@pytest.mark.parametrize(
    ("task", "tokenizer"),
    [
        (OwnTask(("no", "yes"), "yes", max_length=8), tokenizer_of()),
        (TASK, OwnTokenizer(tokenizer_object=tokenizer_of().backend_tokenizer)),
        (TASK, SimpleNamespace(is_fast=False)),
        (TASK, None),  # of a series
    ],
)
def test_what_no_key_can_tell_is_not_kept(task, tokenizer):
    assert TokenCache.for_task(TASK, tokenizer_of(), overwrite=False, private=False) is not None
    assert TokenCache.for_task(task, tokenizer, overwrite=False, private=False) is None


def test_few_tokens_are_not_kept(arguments, folder, monkeypatch):
    monkeypatch.setattr(token_cache, "LEAST_BYTES", 10_000)

    TASK.encode_splits(splits_of(), tokenizer_of(), arguments())

    assert not folder.exists()


def test_a_folder_that_takes_no_entry_costs_a_line_and_not_the_run(arguments, folder, capsys):
    folder.parent.write_text("a file where the cache should be")

    encoded = TASK.encode_splits(splits_of(), tokenizer_of(), arguments())

    assert_same(encoded["train"], TASK.encode(splits_of()["train"], tokenizer_of(), "train"))
    assert "the tokens are not kept for a next run" in capsys.readouterr().err


def test_a_process_that_comes_second_leaves_the_entry_of_the_first(arguments, folder):
    cache = TokenCache(tokenizer_of())
    rows = splits_of()["train"]
    path = cache.path(TASK, rows, "train")
    encoded = TASK.encode(rows, cache.tokenizer, "train")
    entry = token_cache.Entry(encoded.dataset, encoded.facts, encoded.notes, None)
    cache.write(path, entry)
    first = (path / "content.json").stat().st_ino

    cache.write(path, entry)

    assert (path / "content.json").stat().st_ino == first
    assert entries(folder) == [path.name]


def test_the_entries_that_were_not_used_for_longest_go_first(tmp_path):
    for age, name in enumerate(("new", "used", "old")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data").write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (time.time() - age, time.time() - age))
    for name, age in ((".partial-abandoned", 90_000), (".partial-running", 10)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age, time.time() - age))

    delete_oldest(tmp_path, 250)

    assert entries(tmp_path) == [".partial-running", "new", "used"]


def test_reading_counts_as_use(arguments, folder):
    TASK.encode_splits(splits_of(), tokenizer_of(), arguments())
    for name in entries(folder):
        os.utime(folder / name, (0, 0))

    TASK.encode_splits(splits_of(), tokenizer_of(), arguments())

    assert all((folder / name).stat().st_mtime > 1_000_000 for name in entries(folder))


def test_every_task_that_cuts_rows_names_what_it_keeps_of_them():
    """Otherwise a second run would lack it."""
    cutting = {name for name, task in tasks().items() if task.index_type is not None}

    assert cutting >= {"token-classification", "question-answering", "causal-lm"}
    assert Forecasting.index_type is None  # without a tokenizer nothing is kept


def test_a_line_says_which_tokens_were_read(folder):
    paths = {"train": folder / "a", "test": folder / "b"}

    assert reading_lines({"train": None}) == []
    assert reading_lines({**paths, "validation": None}) == [
        f"tokens of train and test as an earlier run kept them in {folder} (--overwrite_cache: made again)"
    ]


@pytest.mark.slow
def test_a_second_run_says_so_and_predicts_the_same(tmp_path, capsys, folder):
    outputs = [tmp_path / "first", tmp_path / "second"]
    blocks = []
    for output in outputs:
        runpy.run_path(str(ROOT / "recipes" / "spam.py"))["main"](
            ["--max_steps", "2", "--cpu_threads", "1", "--output_dir", str(output)]
        )
        blocks.append(" ".join(capsys.readouterr().out.split()))

    assert ["as an earlier run kept them" in block for block in blocks] == [False, True]
    assert len(entries(folder)) == 3
    for name in ("tokenizer.json", "model.safetensors", "predictions/test.parquet"):
        assert (outputs[0] / name).read_bytes() == (outputs[1] / name).read_bytes()


SCRIPT = """
import json, os, sys
from pathlib import Path
from tests.tasks import test_token_cache as here
from llmtune.arguments import DataArguments, TrainingArguments
from llmtune.arguments.parser import Arguments
here.token_cache.LEAST_BYTES = 0
training = TrainingArguments(output_dir=sys.argv[1], use_cpu=True)
args = Arguments(DataArguments(), None, None, training)
encoded = here.TASK.encode_splits(here.splits_of(), here.tokenizer_of(), args)
seen = {"read": encoded["train"].cached_in is not None, "ids": encoded["train"].dataset["input_ids"][:]}
Path(sys.argv[1], f"seen-{training.process_index}.json").write_text(json.dumps(seen))
"""


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_the_first_process_of_a_machine_makes_them_and_the_others_read(processes, tmp_path):
    script = tmp_path / "encode.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_DATASETS_CACHE": str(tmp_path / "hf")}
    command = [*PYTHON[processes], str(script), str(tmp_path)]

    runs = []
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        runs.append([json.loads((tmp_path / f"seen-{rank}.json").read_text()) for rank in range(processes)])

    assert [seen["read"] for seen in runs[0]] == [rank > 0 for rank in range(processes)]
    assert all(seen["read"] for seen in runs[1])  # another pid reads them too
    assert len({json.dumps(seen["ids"]) for run in runs for seen in run}) == 1
