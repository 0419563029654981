"""What may happen to a model's folder between training and use: each fault changes the files of one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

WEIGHTS = "model.safetensors"


def edit_json(name: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """A fault: `change` edits a JSON file."""

    def fault(folder: Path) -> None:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
        change(content)
        (folder / name).write_text(json.dumps(content), encoding="utf-8")

    return fault


def edit_settings(**values: Any) -> Callable[[Path], None]:
    """A fault: settings of the task that the config keeps are others; None: they are lost."""

    def change(config: dict[str, Any]) -> None:
        for name, value in values.items():
            config["llmtune"].pop(name)
            if value is not None:
                config["llmtune"][name] = value

    return edit_json("config.json", change)


def edit_weights(change: Callable[[dict[str, torch.Tensor]], Any], name: str = WEIGHTS) -> Callable[[Path], None]:
    """A fault: `change` edits the tensors of a file."""

    def fault(folder: Path) -> None:
        tensors = {key: tensor.clone() for key, tensor in safetensors.torch.load_file(folder / name).items()}
        change(tensors)
        safetensors.torch.save_file(tensors, folder / name, metadata={"format": "pt"})

    return fault


def named(tensors: dict[str, torch.Tensor], part: str) -> list[str]:
    """The tensors with `part` in their names; there are some."""
    names = [name for name in tensors if part in name]
    assert names, f"no {part} in {', '.join(tensors)}"
    return names


def drop(part: str) -> Callable[[dict[str, torch.Tensor]], None]:
    """Tensors are not in the file."""

    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name in named(tensors, part):
            del tensors[name]

    return change


def redraw(part: str) -> Callable[[dict[str, torch.Tensor]], None]:
    """Tensors are drawn anew, as those of a head that is initialized after loading."""

    def change(tensors: dict[str, torch.Tensor]) -> None:
        generator = torch.Generator().manual_seed(1)
        for name in named(tensors, part):
            tensors[name] = torch.randn(tensors[name].shape, generator=generator) * max(
                0.02, float(tensors[name].std(correction=0))
            )

    return change


def flip(part: str) -> Callable[[dict[str, torch.Tensor]], None]:
    """The rows of a head are in the opposite order."""

    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name in named(tensors, part):
            tensors[name] = tensors[name].flip(0)

    return change


def scale(part: str, factor: float) -> Callable[[dict[str, torch.Tensor]], None]:
    """Tensors are a factor larger."""

    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name in named(tensors, part):
            tensors[name] *= factor

    return change


def to_int8(part: str) -> Callable[[dict[str, torch.Tensor]], None]:
    """Tensors go through 8 bits, a scale each row, and back."""

    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name in named(tensors, part):
            step = tensors[name].abs().amax(dim=-1, keepdim=True).clamp(min=1e-9) / 127  # the row of padding is 0
            tensors[name] = (tensors[name] / step).round() * step

    return change


def cut_short(folder: Path) -> None:
    """A writer was killed: half of the weights are there."""
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])


def lose(name: str) -> Callable[[Path], None]:
    """A file or a folder is gone."""

    def fault(folder: Path) -> None:
        path = folder / name
        assert path.exists()
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return fault


def swap_tokenizer(folder: Path) -> None:
    """Another tokenizer: the same tokens in another order."""

    def change(content: dict[str, Any]) -> None:
        vocabulary = content["model"]["vocab"]
        special = {token["content"] for token in content["added_tokens"]}
        pieces = [(token, value) for token, value in _pairs(vocabulary) if token not in special]
        turned = dict(zip((token for token, _ in pieces), (value for _, value in reversed(pieces)), strict=True))
        content["model"]["vocab"] = _with_values(vocabulary, turned)

    edit_json("tokenizer.json", change)(folder)


def _pairs(vocabulary: Any) -> list[tuple[str, Any]]:
    """Tokens and their ids; of a unigram model, a list, their places."""
    if isinstance(vocabulary, dict):
        return list(vocabulary.items())
    return [(entry[0], place) for place, entry in enumerate(vocabulary)]


def _with_values(vocabulary: Any, turned: dict[str, Any]) -> Any:
    if isinstance(vocabulary, dict):
        return {**vocabulary, **turned}
    places = {place: token for token, place in turned.items()}
    scores = {entry[0]: entry[1] for entry in vocabulary}
    names = [places.get(place, entry[0]) for place, entry in enumerate(vocabulary)]
    return [[name, scores[name]] for name in names]


def swap_labels(config: dict[str, Any]) -> None:
    """The first two labels change places."""
    labels = config["id2label"]
    labels["0"], labels["1"] = labels["1"], labels["0"]
    config["label2id"] = {label: int(place) for place, label in labels.items()}


def pad_left(folder: Path) -> None:
    """The tokenizer pads on the other side."""
    edit_json("tokenizer_config.json", lambda config: config.update(padding_side="left"))(folder)
