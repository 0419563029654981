"""Classification of texts with one label each or with several: which, the flags or the labels of train say."""

from typing import Any

from llmtune.arguments.parser import Arguments
from llmtune.data import Splits
from llmtune.data.label_sets import LABELS, find_joined, looks_like_sets
from llmtune.data.splits import open_sources
from llmtune.errors import InputError, truncated_repr
from llmtune.tasks.multi_label_classification.task import MultiLabelClassification
from llmtune.tasks.text_classification.task import TextClassification

SINGLE, SEVERAL = TextClassification.problem_type, MultiLabelClassification.problem_type


class GeneralTextClassification:
    """What a recipe for any classification of texts reads; the task it makes is one of the two."""

    @classmethod
    def read(cls, args: Arguments) -> Splits:
        """Texts with one label each, or with sets of them; settles --problem_type and --label_column.

        Raises:
            InputError: anything in the data that would make a result wrong, or flags that contradict each other.
        """
        _settle(args)
        return _task(args).read(args)

    @classmethod
    def from_arguments(cls, args: Arguments, splits: Splits, **options: Any) -> Any:
        """The task of the problem type that `read` settled."""
        return _task(args).from_arguments(args, splits, **options)


def _task(args: Arguments) -> type[TextClassification] | type[MultiLabelClassification]:
    return MultiLabelClassification if args.task.problem_type == SEVERAL else TextClassification


def _settle(args: Arguments) -> None:
    """Writes the problem type, and the column of the labels where it has its other usual name, into the arguments."""
    task = args.task
    if task.problem_type not in (None, SINGLE, SEVERAL):
        raise InputError(f"--problem_type {task.problem_type!r} is not one of {SINGLE}, {SEVERAL}")
    _check_columns(task)
    several = bool(task.label_separator or task.label_columns)
    if several and task.problem_type == SINGLE:
        raise InputError(
            f"--problem_type {SINGLE}: --label_separator and --label_columns are for several labels a text; leave one "
            "of the two out"
        )
    if several and task.label_columns:
        task.problem_type = SEVERAL
        return
    train = open_sources(args.data, only="train").get("train")
    if train is not None and not train.has(task.label_column) and task.label_column == "label" and train.has(LABELS):
        task.label_column = LABELS
    if task.problem_type is None:
        several = several or (train is not None and looks_like_sets(train, task.label_column))
        cells = [] if train is None or several or not train.has(task.label_column) else train.cells(task.label_column)
        if train is not None and (joined := find_joined(cells)):
            cell, separator = joined
            raise InputError(
                f"{train.source}: column {task.label_column!r} holds {truncated_repr(cell)}, and each part of it alone "
                f"in other rows: are these several labels a text? Then --label_separator {separator!r}; else "
                f"--problem_type {SINGLE}"
            )
        task.problem_type = SEVERAL if several else SINGLE


def _check_columns(task: Any) -> None:
    """Raises `InputError` where the flags on the columns of labels contradict each other."""
    if task.label_separator == "":
        raise InputError("--label_separator '': expected what stands between two labels, such as ';'")
    if not task.label_columns:
        return
    names = " ".join(task.label_columns)
    for flag, default in (("label_separator", None), ("label_column", "label")):
        if getattr(task, flag) != default:
            raise InputError(
                f"--label_columns {names} and --{flag} {getattr(task, flag)}: both say where the labels stand; leave "
                "one of the two out"
            )
    if len(set(task.label_columns)) < max(2, len(task.label_columns)):
        raise InputError(
            f"--label_columns {names}: expected two columns or more, each once; one column of 0 and 1 is one label a "
            f"text: --label_column {task.label_columns[0]}"
        )
