"""The private names of other libraries that llmtune reads or overrides, each with a test that names it where it breaks.

A name with an underscore may go with any minor release. When a new transformers fails here, this file says which name
went and who needs it; when llmtune reaches for another private name, the last tests ask for its line in the list.
"""

import argparse
import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import evaluate
import pytest
import sacrebleu
import torch
import transformers
from rouge_score.rouge_scorer import RougeScorer
from transformers.hf_argparser import HfArgumentParser

import llmtune

ROOT = Path(llmtune.__file__).parent
# Documented: of a named tuple, of os and of sys.
PUBLIC_IN_SPITE_OF_IT = {"_replace", "_asdict", "_fields", "_exit", "_current_frames"}


@dataclass(frozen=True)
class GroupOfArguments:
    """What `HfArgumentParser` is given, as llmtune's argument groups are."""

    _argument_group_name = "group"
    size: int = 1


@dataclass(frozen=True)
class Seam:
    """A private name: where it lies, what llmtune needs of it, and for what.

    Args:
        owner: gives the object that has it.
        name: the private name.
        purpose: what llmtune does with it.
        takes: the first parameters, by name and in this order, without self.
        overridden: llmtune replaces it, so the library must still call it by this name.
    """

    owner: Callable[[], Any]
    name: str
    purpose: str
    takes: tuple[str, ...] | None = None
    overridden: bool = False
    library: str = "transformers"

    def breaks(self) -> str | None:
        """What of it no longer holds, in one line; None where all does."""
        owner = self.owner()
        where = f"{self.library} {version(self.library)}" if self.library != "argparse" else "argparse"
        title = owner.__name__ if inspect.isclass(owner) else type(owner).__name__
        line = f"{where}: {title}.{self.name} {{}}; llmtune needs it for this: {self.purpose}"
        if not hasattr(owner, self.name):
            return line.format("is gone")
        if self.takes is not None:
            parameters = [name for name in inspect.signature(getattr(owner, self.name)).parameters if name != "self"]
            if tuple(parameters[: len(self.takes)]) != self.takes:
                return line.format(f"takes {parameters}, expected {list(self.takes)} first")
        if self.overridden and f"self.{self.name}" not in inspect.getsource(inspect.getmodule(owner)):
            return line.format("is no longer called, so the override does nothing")
        return None


class PlacesOfInstances:
    """Objects whose private names exist only once they are made."""

    @staticmethod
    def trainer() -> Any:
        """The attributes that Trainer.__init__ sets, without making a model."""
        names = set()
        for node in ast.walk(ast.parse(inspect.getsource(inspect.getmodule(transformers.Trainer)))):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                stored = (part for part in ast.walk(node) if isinstance(part, ast.Attribute))
                names |= {part.attr for part in stored if isinstance(part.ctx, ast.Store)}
        return type("Trainer", (), dict.fromkeys(names))

    @staticmethod
    def parser() -> Any:
        return argparse.ArgumentParser()

    @staticmethod
    def group() -> Any:
        return argparse.ArgumentParser().add_argument_group("group")

    @staticmethod
    def rouge() -> Any:
        return RougeScorer(["rouge1"])


def always(thing: Any) -> Callable[[], Any]:
    return lambda: thing


TRAINER, FORMATTER = always(transformers.Trainer), always(argparse.HelpFormatter)
# fmt: off
SEAMS = (
    Seam(TRAINER, "_push_from_checkpoint", "nothing is sent before the report", ("checkpoint_folder",), True),
    Seam(TRAINER, "_save", "no pickle with --hub_token is left", ("output_dir", "state_dict"), True),
    Seam(TRAINER, "_save_checkpoint", "a resumed run knows its tokens and seconds", ("model", "trial"), True),
    Seam(TRAINER, "_run_epoch", "no step after the end, where the last checkpoint is resumed", (), True),
    Seam(TRAINER, "_get_output_dir", "a checkpoint is written beside, then renamed", ("trial",), True),
    Seam(TRAINER, "_load_callback_state", "early stopping keeps its patience on resume", (), True),
    Seam(TRAINER, "_issue_warnings_after_load", "no warning of tied weights", ("load_result",), True),
    Seam(TRAINER, "_load_best_model", "one host reads the best checkpoint, all take its weights", (), True),
    Seam(TRAINER, "_clip_grad_norm", "gradients that are short enough are not multiplied by 1", ("model",), True),
    Seam(TRAINER, "_get_train_sampler", "batches by length in a random effective batch", ("train_dataset",), True),
    Seam(TRAINER, "_get_eval_sampler", "evaluation from the longest row", ("eval_dataset",), True),
    Seam(TRAINER, "_get_dataloader", "our sampler in the stock loader",
         ("dataset", "description", "batch_size", "sampler_fn", "is_training")),
    Seam(TRAINER, "_prepare_inputs", "a batch on the device, before texts are generated", ("inputs",)),
    Seam(TRAINER, "_remove_unused_columns", "rows of a trial as those of training", ("dataset", "description")),
    Seam(PlacesOfInstances.trainer, "_train_batch_size", "the micro-batch of a process"),
    Seam(always(transformers.TrainingArguments), "_VALID_DICT_FIELDS", "which YAML keys may hold keys of their own"),
    Seam(always(transformers.PreTrainedModel), "_keys_to_ignore_on_save", "computed weights are not missing ones"),
    Seam(always(transformers.BertConfig()), "_attn_implementation", "padding-free where attention is torch's own"),
    Seam(always(torch.ops.aten), "_flash_attention_forward", "attention of rows of any length with dropout, on a GPU",
         library="torch"),
    Seam(always(torch), "_softmax_backward_data", "the gradient of attention on a CPU", library="torch"),
    Seam(always(torch.nn.Parameter(torch.zeros(1))), "_backward_hooks", "who hooks a gradient gets torch's",
         library="torch"),
    Seam(always(torch.nn.Parameter(torch.zeros(1))), "_post_accumulate_grad_hooks", "likewise", library="torch"),
    Seam(always(transformers.PreTrainedModel), "_init_weights", "how new weights of an LSTM begin", ("module",), True),
    Seam(always(GroupOfArguments), "_argument_group_name", "the groups of --help and of run.json"),
    Seam(always(sacrebleu.BLEU), "_extract_corpus_statistics", "statistics of each sentence, for intervals",
         ("hypotheses", "references"), library="sacrebleu"),
    Seam(PlacesOfInstances.rouge, "_tokenizer", "a text is tokenized once for all ROUGE", library="rouge_score"),
    Seam(always(evaluate.Metric), "_info", "evaluate.load", (), True, "evaluate"),
    Seam(always(evaluate.Metric), "_compute", "evaluate.load", (), True, "evaluate"),
    Seam(PlacesOfInstances.parser, "_actions", "the flags to suggest for a typing error", library="argparse"),
    Seam(PlacesOfInstances.parser, "_action_groups", "our own flags first in --help", library="argparse"),
    Seam(PlacesOfInstances.group, "_group_actions", "our own flags first in --help", library="argparse"),
    Seam(always(argparse), "_StoreFalseAction", "--no_x beside --x is not listed", library="argparse"),
    Seam(FORMATTER, "_format_action_invocation", "one spelling a flag", ("action",), True, "argparse"),
    Seam(FORMATTER, "_get_help_string", "defaults only where they say something", ("action",), True, "argparse"),
)
# fmt: on


@pytest.mark.parametrize("seam", SEAMS, ids=lambda seam: f"{seam.library}:{seam.name}")
def test_a_seam_is_where_llmtune_reaches_for_it(seam):
    assert seam.breaks() is None


def test_a_group_of_arguments_is_still_titled_by_its_private_name():
    parser = HfArgumentParser(GroupOfArguments)

    assert "group" in [group.title for group in parser._action_groups]


@pytest.mark.parametrize(
    ("seam", "expected"),
    [
        (Seam(TRAINER, "_gone", "a test"), f"transformers {transformers.__version__}: Trainer._gone is gone; llmtune "),
        (Seam(TRAINER, "_save", "a test", ("state_dict",)), r"takes \['output_dir', 'state_dict'\], expected \['state"),
        (
            Seam(always(GroupOfArguments), "__eq__", "a test", (), True),
            "is no longer called, so the override does nothing",
        ),
    ],
)
def test_a_break_is_named_with_the_version_and_the_purpose(seam, expected):
    assert re.search(expected, seam.breaks() or "")


@cache
def llmtune_modules() -> list[Any]:
    names = [module.name for module in pkgutil.walk_packages([str(ROOT)], "llmtune.")]
    return [importlib.import_module(name) for name in names]


def overridden_names() -> Iterator[tuple[str, str]]:
    """(where, private name) of each method of ours that replaces a private one of another library's class."""
    for module in llmtune_modules():
        for cls in vars(module).values():
            if not inspect.isclass(cls) or cls.__module__ != module.__name__:
                continue
            foreign = [base for base in cls.__mro__[1:] if not base.__module__.startswith(("llmtune", "builtins"))]
            for name, member in vars(cls).items():
                if is_private(name) and inspect.isroutine(member) and any(name in vars(base) for base in foreign):
                    yield f"{module.__name__}.{cls.__name__}", name


def reached_names() -> Iterator[tuple[str, str]]:
    """(where, private name) of each attribute that llmtune reads or imports and that its own files don't define."""
    for path in ROOT.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        own = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        own |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        own |= {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
        for node in nodes:
            if isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in own:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.attr
            elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("llmtune"):
                for alias in node.names:
                    if is_private(alias.name):
                        yield f"{path.relative_to(ROOT)}:{node.lineno}", alias.name


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC_IN_SPITE_OF_IT


def test_every_private_name_that_llmtune_reaches_for_has_its_line_in_the_list():
    listed = {seam.name for seam in SEAMS}

    assert [(where, name) for where, name in (*overridden_names(), *reached_names()) if name not in listed] == []


def test_the_list_holds_nothing_that_llmtune_no_longer_needs():
    needed = {name for _, name in (*overridden_names(), *reached_names())}

    assert [seam.name for seam in SEAMS if seam.name not in needed] == []
