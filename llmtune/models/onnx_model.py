"""A model as ONNX: written by torch.onnx, its weights rounded to 8 bits, run by onnxruntime in the weights' place.

Letters: m rows, t tokens, of any number each.
"""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from llmtune.errors import InputError
from llmtune.text.shorten import truncated_line

EXPORT_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
ONNX_FILE, INT8_FILE = "model.onnx", "model_int8.onnx"
EXTERNAL = ".data"  # after the name of a file: its weights, where they are too many for one protobuf
EXAMPLE = (3, 16)  # rows and tokens that are traced; of 0 or 1 torch.export would take the number for a fixed one


class OnnxModel(torch.nn.Module):
    """A model that onnxruntime computes on the CPU, called as that of transformers.

    Args:
        path: of the file.
        config: of the model.

    Raises:
        InputError: the file is no model that onnxruntime computes.
    """

    def __init__(self, path: Path, config: Any = None) -> None:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as errors

        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except (errors.InvalidProtobuf, errors.InvalidGraph, errors.NoSuchFile, errors.Fail) as error:
            raise InputError(
                f"{path}: onnxruntime can't load it ({truncated_line(str(error), 200)}); export the run again"
            ) from error
        self.config = config
        self.input_names = [each.name for each in self.session.get_inputs()]
        self.output_names = [each.name for each in self.session.get_outputs()]

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Inputs (m, t) → its outputs by name."""
        given = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        feed = {name: value.numpy() for name, value in given.items() if name in self.input_names and value is not None}
        outputs = self.session.run(self.output_names, feed)
        return dict(zip(self.output_names, map(torch.from_numpy, outputs), strict=True))


class PositionalModel(torch.nn.Module):
    """A model of transformers whose inputs and outputs are in order, as torch.onnx needs them.

    Args:
        model: inputs by name → outputs by name.
        inputs: the names of its inputs.
        outputs: the names of those of its outputs that are given.
    """

    def __init__(self, model: Any, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        super().__init__()
        self.model, self.input_names, self.output_names = model, inputs, outputs

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Inputs (m, t) each → the outputs."""
        outputs = self.model(**dict(zip(self.input_names, tensors, strict=True)))
        return tuple(outputs[name] for name in self.output_names)


def check_export_packages() -> None:
    """Raises InputError where the extra `export` is not installed."""
    missing = [name for name in EXPORT_PACKAGES if find_spec(name) is None]
    if missing:
        raise InputError(
            f"llmtune export needs {', '.join(missing)}, not installed here: pip install 'llmtune[export]'"
        )


def export_onnx(
    model: Any, tokenizer: PreTrainedTokenizerBase, path: Path, *, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    """Writes a model for any number of rows and tokens.

    Args:
        model: float32, on the CPU; its config no longer asks for a cache of keys and values after.
        tokenizer: of it.
        path: of the file; weights of more than about 2 GB lie beside it.
        inputs: names of its inputs, (m, t) each.
        outputs: names of its outputs that are written.

    Raises:
        InputError: torch.onnx can't trace it.
    """
    model.config.use_cache = False  # of one pass nothing is read again
    example = random_batch(tokenizer, inputs, rows=EXAMPLE[0], tokens=EXAMPLE[1])
    sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    try:
        with torch.no_grad(), without_exporter_lines():
            program = torch.onnx.export(
                PositionalModel(model, inputs, outputs).eval(),
                tuple(example.values()),
                dynamo=True,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=(tuple(sizes for _ in inputs),),  # of the one argument, which takes all tensors
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = truncated_line(" ".join(str(error.__cause__ or error).split()), 200)
        raise InputError(
            f"torch.onnx can't write a model of model_type {model.config.model_type!r} ({reason}); use the run as it "
            "is (llmtune predict), or fine-tune a model of another type, as bert, modernbert or llama"
        ) from error
    assert program is not None
    program.save(path)


def quantize_int8(path: Path, target: Path) -> None:
    """Writes a model again, its weights in 8 bits by a scale of each output; its activations are rounded as it runs."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    is_external = path.with_name(path.name + EXTERNAL).exists()
    with without_exporter_lines():
        quantize_dynamic(
            path, target, per_channel=True, weight_type=QuantType.QInt8, use_external_data_format=is_external
        )


def megabytes(path: Path) -> float:
    """Size of a model's file and of its weights beside it, in 10^6 bytes."""
    files = [each for each in (path, path.with_name(path.name + EXTERNAL)) if each.exists()]
    return sum(each.stat().st_size for each in files) / 1e6


def random_batch(
    tokenizer: PreTrainedTokenizerBase, names: Sequence[str], *, rows: int, tokens: int, seed: int = 0
) -> dict[str, torch.Tensor]:
    """Inputs (rows, tokens) by name; of several rows half of the last one is padding, on the tokenizer's side."""
    ids = torch.randint(0, len(tokenizer), (rows, tokens), generator=torch.Generator().manual_seed(seed))
    mask, pad = torch.ones_like(ids), tokenizer.pad_token_id
    if rows > 1 and pad is not None:
        padding = slice(0, tokens // 2) if tokenizer.padding_side == "left" else slice(tokens - tokens // 2, None)
        ids[-1, padding], mask[-1, padding] = pad, 0
    known = {"input_ids": ids, "attention_mask": mask}
    return {name: known.get(name, torch.zeros_like(ids)) for name in names}


def random_drift(
    model: Any, exported: OnnxModel, tokenizer: PreTrainedTokenizerBase, names: Sequence[str], max_length: int
) -> float:
    """How far the outputs for random tokens are apart, relative to the largest: rows have other lengths than traced."""
    drift = 0.0
    for rows, tokens in ((1, max_length), (4, max_length), (2, max(2, max_length // 3))):
        batch = random_batch(tokenizer, names, rows=rows, tokens=tokens, seed=rows)
        with torch.no_grad():
            expected, again = model(**batch), exported(**batch)
        for name, values in again.items():
            gap = (expected[name] - values).abs().max() / expected[name].abs().max().clamp(min=1.0)
            drift = max(drift, float("inf") if gap.isnan() else float(gap))
    return drift


@contextlib.contextmanager
def without_exporter_lines() -> Iterator[None]:
    """Hides warnings of torch.onnx and of onnxruntime's quantization: of torchvision, and of what we do on purpose."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
