"""Encoded splits on disk, by what they are made of: a second run of a command reads the tokens of the first.

The key of an entry is a sha256 over the cells of the rows, the tokenizer's content, the settings of the task, our own
code and the versions of the libraries: names and paths are not in it, so a copied checkpoint or a renamed file still
hits. Entries lie where `datasets` keeps its own (HF_DATASETS_CACHE) and may be deleted at any time. An entry is a
folder that is written beside and renamed; its checksums are compared whenever it is read.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from transformers import PreTrainedTokenizerBase

import llmtune
from llmtune.data.fingerprint import fingerprint

LEAST_BYTES = 2**17  # of inputs: fewer are made as fast as they are read
MOST_BYTES = 10 * 2**30  # of all entries: the ones that were not used for longest go first
SECONDS_OF_PARTIAL = 86_400  # after which an entry that nobody finished is deleted
DATASET, ARRAYS, CONTENT, CHECKSUMS = "inputs", "index.npz", "content.json", "sha256.json"
LENGTHS, NUMBERS = ".lengths", ".numbers"  # of the arrays of a list: each lies there once, end to end
VERSIONED = ("llmtune", "tokenizers", "transformers", "datasets")
# Where a tokenizer was read from, and what its last call left: neither changes what it makes of a text.
PLACES = ("name_or_path", "cache_dir", "is_local", "local_files_only", "_commit_hash", "revision")


@dataclass(frozen=True)
class Entry:
    """What is kept of an encoded split.

    Args:
        inputs: the model inputs.
        facts: JSON values, as `Encoded` has them.
        notes: lines, likewise.
        index: None, or a dataclass of arrays, lists of arrays, numbers, and the inputs.
    """

    inputs: datasets.Dataset
    facts: Mapping[str, Any]
    notes: Sequence[str]
    index: Any


class TokenCache:
    """The entries of a tokenizer.

    Args:
        tokenizer: a fast one of a library.
        overwrite: whether what lies there is made anew.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, overwrite: bool = False) -> None:
        self.folder = Path(datasets.config.HF_DATASETS_CACHE) / "llmtune-tokens"
        self.tokenizer = tokenizer
        self.overwrite = overwrite
        self.source = {
            "tokenizer": describe_tokenizer(tokenizer),
            "code": code_hash(),
            "versions": {name: version(name) if name != "llmtune" else llmtune.__version__ for name in VERSIONED},
        }

    @classmethod
    def for_task(
        cls, task: Any, tokenizer: PreTrainedTokenizerBase | None, *, overwrite: bool, private: bool
    ) -> "TokenCache | None":
        """The cache of a run; None where what is made can't be told by a key, or shall lie nowhere.

        Args:
            task: a dataclass; one that a user wrote is code that the key does not know.
            tokenizer: likewise one of a checkpoint's own code, or one without a tokenizer.json.
            overwrite: whether what lies there is made anew.
            private: whether the texts of the rows may not be kept.
        """
        if private or not datasets.is_caching_enabled() or tokenizer is None or not tokenizer.is_fast:
            return None
        homes = (type(task).__module__.partition(".")[0], type(tokenizer).__module__.partition(".")[0])
        known = homes[0] == "llmtune" and homes[1] in ("llmtune", "transformers")
        return cls(tokenizer, overwrite=overwrite) if known else None

    def path(self, task: Any, rows: datasets.Dataset, split: str) -> Path:
        """The folder of an entry, whether it is there or not."""
        settings = {member.name: getattr(task, member.name) for member in fields(task) if member.name != "metrics"}
        described = {
            **self.source,
            "task": f"{type(task).__module__}.{type(task).__qualname__}",
            "settings": settings,
            "split": split,  # language models read train otherwise than the others
            "columns": str(rows.features),
            "rows": fingerprint(rows),
        }
        text = json.dumps(described, sort_keys=True, default=_plain)
        return self.folder / hashlib.sha256(text.encode()).hexdigest()[:32]

    def read(self, path: Path, index_type: type[Any] | None) -> Entry | None:
        """The entry; None where there is none. One that is damaged is deleted, and that is said."""
        if self.overwrite or not path.is_dir():
            return None
        try:
            if read_checksums(path) != json.loads((path / CHECKSUMS).read_text(encoding="utf-8")):
                raise ValueError("its files are not those that were written")
            content = json.loads((path / CONTENT).read_text(encoding="utf-8"))
            inputs = datasets.load_from_disk(str(path / DATASET))
            index = None
            if index_type is not None and content["index"] is not None:
                index = _read_index(path, index_type, inputs, content["index"])
            os.utime(path)  # used now
        except (OSError, ValueError, KeyError) as error:
            _say(f"the kept tokens in {path} can't be read ({error}); they are made again")
            shutil.rmtree(path, ignore_errors=True)
            return None
        # The tokenizer as after making them: its tokenizer.json, which the run saves, holds how it last cut and padded.
        backend = self.tokenizer.backend_tokenizer
        _restore(content["truncation"], backend.enable_truncation, backend.no_truncation)
        _restore(content["padding"], backend.enable_padding, backend.no_padding)
        return Entry(inputs, content["facts"], content["notes"], index)

    def write(self, path: Path, entry: Entry) -> None:
        """Keeps an entry, unless it is small; a folder that takes none costs a line, not the run."""
        if entry.inputs.data.nbytes < LEAST_BYTES:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=self.folder))
        except OSError as error:
            _say(f"the tokens are not kept for a next run: {error}")
            return
        try:
            self._fill(partial, entry)
            if self.overwrite:
                shutil.rmtree(path, ignore_errors=True)
            if not path.exists():
                os.rename(partial, path)
            delete_oldest(self.folder, MOST_BYTES)
        except OSError as error:
            if not path.exists():  # else another process was first
                _say(f"the tokens are not kept for a next run: {error}")
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _fill(self, folder: Path, entry: Entry) -> None:
        entry.inputs.save_to_disk(str(folder / DATASET))
        arrays, numbers = _index_parts(entry.index)
        np.savez(folder / ARRAYS, allow_pickle=False, **arrays)
        backend = self.tokenizer.backend_tokenizer
        content = {
            "facts": entry.facts,
            "notes": list(entry.notes),
            "index": numbers,
            "truncation": backend.truncation,
            "padding": backend.padding,
        }
        (folder / CONTENT).write_text(json.dumps(content), encoding="utf-8")
        (folder / CHECKSUMS).write_text(json.dumps(read_checksums(folder)), encoding="utf-8")


def reading_lines(folders: Mapping[str, Path | None]) -> list[str]:
    """A line on the splits whose tokens an earlier run made; `folders`: the entry of each split, None without one."""
    read = {split: folder for split, folder in folders.items() if folder is not None}
    if not read:
        return []
    where = next(iter(read.values())).parent
    return [f"tokens of {' and '.join(read)} as an earlier run kept them in {where} (--overwrite_cache: made again)"]


def describe_tokenizer(tokenizer: PreTrainedTokenizerBase) -> str:
    """A sha256 of all that decides what a tokenizer makes of a text, wherever it was read from."""
    # What it cuts and pads at is told it again at each call.
    content = json.loads(tokenizer.backend_tokenizer.to_str()) | {"truncation": None, "padding": None}
    names = [name for name in tokenizer.init_kwargs if name not in PLACES and not name.endswith("_file")]
    described = {
        "content": content,
        "class": f"{type(tokenizer).__module__}.{type(tokenizer).__qualname__}",
        "options": {name: tokenizer.init_kwargs[name] for name in sorted(names)},
        "special tokens": tokenizer.special_tokens_map,
        "chat template": tokenizer.chat_template,
        "lengths": [tokenizer.model_max_length, tokenizer.truncation_side, tokenizer.padding_side],
        "inputs": tokenizer.model_input_names,
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode()).hexdigest()


@cache
def code_hash() -> str:
    """A sha256 of the sources of llmtune: of tokens that other code made nobody knows whether they are the same."""
    root = Path(llmtune.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def read_checksums(folder: Path) -> dict[str, str]:
    """The sha256 of each file of an entry, by its path in it."""
    sums = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != CHECKSUMS:
            with path.open("rb") as file:
                sums[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest()
    return sums


def delete_oldest(folder: Path, most_bytes: int) -> None:
    """Deletes entries, the one that was not used for longest first, until the rest is no more than that.

    Another process may read one of them: on Linux and macOS it keeps what it has open.
    """
    for partial in folder.glob(".partial-*"):
        if time.time() - _used(partial) > SECONDS_OF_PARTIAL:
            shutil.rmtree(partial, ignore_errors=True)
    entries = sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=_used, reverse=True)
    total = 0
    for entry in entries:
        total += sum(path.stat().st_size for path in entry.rglob("*") if path.is_file())
        if total > most_bytes:
            shutil.rmtree(entry, ignore_errors=True)


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # deleted by another process meanwhile
        return 0.0


def _index_parts(index: Any) -> tuple[dict[str, np.ndarray], dict[str, Any] | None]:
    """The arrays and the numbers of a dataclass; no numbers without one."""
    arrays: dict[str, np.ndarray] = {}
    if index is None:
        return arrays, None
    numbers: dict[str, Any] = {}
    for member in fields(index):
        value = getattr(index, member.name)
        if isinstance(value, np.ndarray):
            arrays[member.name] = value
        elif isinstance(value, list):
            parts = {id(part): part for part in value}  # rows may share one, as the questions of a paragraph do
            place = {key: number for number, key in enumerate(parts)}
            arrays[member.name] = np.concatenate(list(parts.values()))
            arrays[member.name + LENGTHS] = np.array([len(part) for part in parts.values()], dtype=np.int64)
            arrays[member.name + NUMBERS] = np.array([place[id(part)] for part in value], dtype=np.int64)
        elif not isinstance(value, datasets.Dataset):
            numbers[member.name] = value
    return arrays, numbers


def _read_index(path: Path, index_type: type[Any], inputs: datasets.Dataset, numbers: Mapping[str, Any]) -> Any:
    with np.load(path / ARRAYS, allow_pickle=False) as arrays:
        values: dict[str, Any] = {name: arrays[name] for name in arrays.files}
    for name in [name.removesuffix(LENGTHS) for name in values if name.endswith(LENGTHS)]:
        parts = np.split(values[name], np.cumsum(values.pop(name + LENGTHS))[:-1])
        values[name] = [parts[number] for number in values.pop(name + NUMBERS)]
    return index_type(**{"inputs": inputs, **values, **numbers})


def _restore(settings: Mapping[str, Any] | None, enable: Any, disable: Any) -> None:
    if settings is None:
        disable()
    else:
        enable(**settings)


def _plain(value: Any) -> Any:
    assert is_dataclass(value), f"{value!r} of a task's settings has no JSON form"
    return {member.name: getattr(value, member.name) for member in fields(value)} | {"type": type(value).__qualname__}


def _say(line: str) -> None:
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print(line, file=sys.stderr)
