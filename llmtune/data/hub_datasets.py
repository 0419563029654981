"""Opens `--dataset_name`: a Hub id, a folder written by `save_to_disk`, or a folder of files.

`datasets` finds the splits of a folder, but it types what it reads: in a csv "007" becomes 7, in jsonl a text becomes a
date, even where its README.md declares texts. Files without types of their own are therefore read here.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
from datasets.exceptions import DatasetsError

from llmtune.arguments import DataArguments
from llmtune.arguments.data import SPLIT_NAMES
from llmtune.data.files import READERS, ending, read_rows
from llmtune.data.in_memory import dataset_rows
from llmtune.data.rows import Rows
from llmtune.errors import InputError

UNTYPED = ("csv", "json", "text", "conll")  # the formats of `datasets` whose files don't say what type a cell is of


def load_named_dataset(data: DataArguments) -> dict[str, Rows]:
    """The rows of the splits train, validation and test, as far as the set has them.

    Raises:
        InputError: no such set, not readable, or none of its splits has one of the known names.
    """
    assert data.dataset_name
    folder = Path(data.dataset_name).expanduser()
    if folder.is_file():
        raise InputError(f"--dataset_name {folder}: is a file, expected a Hub id or a folder; give --train_file")
    if folder.is_dir():
        found = _split_files(folder)
        if found:
            return {split: read_rows(path) for split, path in found.items()}
        found = _untyped_files(data, folder)
        if found:
            return {split: read_rows(path) for split, path in found.items()}
    loaded = _load(data, folder)
    splits = {}
    for split, names in SPLIT_NAMES.items():
        name = next((name for name in names if name in loaded), None)
        if name:
            splits[split] = dataset_rows(loaded[name], f"{data.dataset_name}[{name}]")
    if not splits:
        raise InputError(
            f"{data.dataset_name}: splits found: {list(loaded)}, expected 'train' (and 'validation', 'test'); "
            f"save the split you mean to a file and give --train_file"
        )
    return splits


def _split_files(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for split, names in SPLIT_NAMES.items():
        paths = [
            path
            for path in sorted(folder.iterdir())
            if path.is_file() and path.name.split(".")[0] in names and ending(path) in READERS
        ]
        if len(paths) > 1:
            raise InputError(
                f"{folder}: {' and '.join(path.name for path in paths)} are both the split {split!r}, expected one "
                f"file; give --{split}_file instead of --dataset_name"
            )
        if paths:
            found[split] = paths[0]
    return found


def _untyped_files(data: DataArguments, folder: Path) -> dict[str, Path]:
    """The files of a folder by split, as `datasets` assigns them; none where they tell their types."""
    if _is_saved(folder):
        return {}
    builder = _opened(data, datasets.load_dataset_builder)
    if type(builder).__module__.split(".")[-1] not in UNTYPED:
        return {}
    found = {}
    for split, names in SPLIT_NAMES.items():
        paths = [Path(path) for name in names for path in builder.config.data_files.get(name, ())]
        if len(paths) > 1:
            raise InputError(
                f"{folder}: the split {split!r} is {len(paths)} files ({paths[0].name}, {paths[1].name} …), expected "
                f"one, for texts have no types to join them by; join them and give --{split}_file, or write parquet"
            )
        if paths:
            found[split] = paths[0]
    return found


def _is_saved(folder: Path) -> bool:
    return (folder / "dataset_dict.json").exists() or (folder / "state.json").exists()


def _load(data: DataArguments, folder: Path) -> dict[str, datasets.Dataset]:
    loaded = _opened(data, _from_disk if _is_saved(folder) else datasets.load_dataset)
    return dict(loaded) if isinstance(loaded, dict) else {"train": loaded}


def _from_disk(folder: str, *_: Any, **__: Any) -> Any:
    return datasets.load_from_disk(folder)


def _opened(data: DataArguments, function: Callable[..., Any]) -> Any:
    """What a function of `datasets` makes of the name."""
    folder = Path(str(data.dataset_name)).expanduser()
    name = str(folder) if folder.is_dir() else str(data.dataset_name)
    try:
        return function(name, data.dataset_config_name, revision=data.dataset_revision)
    except IndexError as error:  # what datasets 5.2 makes of a saved split of no rows
        raise InputError(
            f"--dataset_name {data.dataset_name}: a split has no rows, expected at least one; save it again without it"
        ) from error
    except (DatasetsError, OSError, ValueError, RuntimeError, KeyError, pa.ArrowException) as error:
        cause = error.__cause__ or error  # "An error occurred while generating the dataset" hides the real one
        raise InputError(
            f"--dataset_name {data.dataset_name}: cannot be opened: {type(cause).__name__}: {cause}; expected a Hub id "
            f"(check its spelling, --dataset_config_name and the network), a folder with train.csv or another known "
            f"ending, or one written by save_to_disk"
        ) from error
