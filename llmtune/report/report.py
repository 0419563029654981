"""The Python face of a report: predictions in memory, in a file or in a run → scores, verdict, page, card, Hub."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self, TypeVar

from llmtune.errors import InputError
from llmtune.metrics import Score
from llmtune.metrics.core.base import with_interval
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import CLASSIFICATION, kind_named
from llmtune.report.card import write_card
from llmtune.report.in_memory import as_list, class_probabilities, equal_columns, label_lists, open_predictions
from llmtune.report.judged_table import JudgedTable
from llmtune.report.judgement import Judgement, JudgementOptions, run_facts, table_name
from llmtune.report.page import render_page, write_page
from llmtune.runs.folder import RunFolder, baseline_splits, make_folder, write_metrics, write_verdict
from llmtune.text.shorten import row_count

T = TypeVar("T", bound=Callable[..., Any])
# Where an argument of a function has another name than the flag that does the same.
ARGUMENTS = {"train_file": "train"}
RENAMED = {"references": "reference", "predictions": "prediction"}  # arguments and the columns that they are
SEVERAL = ("metrics", "group_columns", "slice_columns")  # options that take a list, or one thing
PAGE_HEIGHT = 720  # pixels of a page in a notebook


def names_arguments(function: T) -> T:
    """Messages that name the function's arguments where the command line has flags: `--labels` becomes `labels`."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except InputError as error:
            message = re.sub(r"--([a-z]\w*)", lambda flag: ARGUMENTS.get(flag[1], flag[1]), str(error))
            raise InputError(message) from error

    return call  # type: ignore[return-value]


class Report(JudgedTable):
    """A judged predictions table: scores with intervals, verdict, page and card.

    Made by `from_predictions`, `from_table` or `from_run`; in a notebook it shows its page. It imports neither torch
    nor transformers. All options are those of `llmtune report`:

    | option | meaning |
    | --- | --- |
    | `targets` | that the verdict requires, as `"recall[spam]>=0.8,accuracy>=0.85"` |
    | `train` | the rows that the model was trained on (a path, DataFrame or Dataset): leakage and baselines |
    | `text_column`, `text_pair_column`, `label_column` | of these rows |
    | `group_columns`, `slice_columns` | of the predictions: people, and parts of the data |
    | `base` | the base model or an earlier run on the same rows: a path, a run folder or a `Report` |
    | `metrics` | additional ones: names, modules of `evaluate`, functions |
    | `seed` | of intervals and permutations (default 42, of a run its own) |

    >>> answers = ["spam", "ham", "ham", "ham"] * 20
    >>> report = Report.from_predictions(["spam", "ham"] * 40, answers, targets="accuracy>=0.9")
    >>> report.scores["accuracy"].value, report.verdict.verdict
    (0.75, 'not_ready')
    """

    @classmethod
    @names_arguments
    def from_predictions(
        cls,
        references: Any,
        predictions: Any = None,
        probabilities: Any = None,
        *,
        kind: str | None = None,
        labels: Sequence[Any] = (),
        positive_label: Any = None,
        ordinal: bool = False,
        name: str | None = None,
        columns: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Self:
        """Judges n predictions against their references.

        Args:
            references: n labels, lists of labels (with `labels` also an array (n, c) of 0 and 1), lists of tags, texts
                (or lists of accepted ones) or numbers: by `kind`. Without `predictions` a whole table: a DataFrame, a
                `datasets.Dataset` … as `from_table` takes it.
            predictions: likewise, in the same order.
            probabilities: (n, c), of classes, in the order of `labels`; a DataFrame with a column named after each;
                of two classes also (n,), of the positive label.
            kind: classification (default of columns), multilabel-classification, token-classification, text-generation,
                question-answering or regression.
            labels: the c class names; default the values seen.
            positive_label: of two, the one that precision, recall and F1 are about; default spam, yes …, or the rarer.
            ordinal: three or more classes have an order, of numbers their size, else that of `labels`.
            name: heads the report; default predictions.
            columns: further columns of n values: `text`, `tokens`, `source`, `question`, groups of people …
            options: as above.

        Raises:
            InputError: columns of unequal length, a label that is none of `labels`, or whatever a file is refused for.
        """
        if predictions is None:
            if probabilities is not None or columns is not None:
                raise InputError("predictions: none were given; a table holds its other columns itself")
            reading = {"kind": kind, "labels": labels, "positive_label": positive_label, "ordinal": ordinal}
            return cls.from_table(references, name=name, **reading, **options)
        kind, columns = kind or CLASSIFICATION.name, columns or {}
        twice = [column for column in (*RENAMED.values(), "probabilities") if column in columns]
        if twice:
            raise InputError(f"columns: {twice[0]!r} is an argument of its own; give other columns here")
        labels = as_list("labels", labels)
        if kind_named(kind).multi_label:
            references, predictions = (label_lists(values, labels) for values in (references, predictions))
        main = {"references": as_list("references", references), "predictions": as_list("predictions", predictions)}
        if kind_named(kind).single_label:
            seen = [*main["references"], *main["predictions"]]
            probabilities, labels = class_probabilities(probabilities, seen, labels, positive_label)
        lists = equal_columns({**main, "probabilities": probabilities, **columns})
        table = {RENAMED.get(column, column): values for column, values in lists.items()}
        reading = {"kind": kind, "labels": labels, "positive_label": positive_label, "ordinal": ordinal}
        return cls.from_table(table, name=name, **reading, **options)

    @classmethod
    @names_arguments
    def from_table(
        cls,
        data: Any,
        *,
        kind: str | None = None,
        labels: Sequence[Any] = (),
        positive_label: Any = None,
        ordinal: bool = False,
        name: str | None = None,
        **options: Any,
    ) -> Self:
        """Judges a table of predictions.

        Args:
            data: a path (.parquet, .csv, .tsv, .jsonl), a pandas DataFrame, a `datasets.Dataset` or a dict of columns,
                with the columns of its kind (`reference`, `prediction` …) and any others.
            kind: of the table; one of ours says it itself.
            labels: class names in the order of `probabilities`; default the values seen.
            positive_label: of two, the one that precision, recall and F1 are about; default spam, yes …, or the rarer.
            ordinal: three or more classes have an order, of numbers their size, else that of `labels`.
            name: heads the report; default the name of the file.
            options: as above.

        Raises:
            InputError: as `llmtune report` does.
        """
        where = name or "data"
        reading = {"positive_label": positive_label, "label_separator": options.get("label_separator")}
        table = open_predictions(data, kind=kind, labels=labels, ordinal=ordinal, where=where, **reading)
        own_name = table_name(data) if isinstance(data, (str, Path)) else "predictions"
        return cls(name or own_name, **Judgement(table, _options(options)).facts())

    @classmethod
    @names_arguments
    def from_run(
        cls, folder: str | Path, *, split: str = "test", positive_label: str | None = None, **options: Any
    ) -> Self:
        """Judges the predictions that a run left, with the arguments that it was made with.

        Args:
            folder: of a run, or the --output_dir of `llmtune evaluate`.
            split: that is judged.
            positive_label: of two, the one that precision, recall and F1 are about; default the run's own.
            options: as above.

        Raises:
            InputError: the folder holds no such predictions, or a file in it is broken.
        """
        run = RunFolder(folder)
        return cls(run.name, **Judgement(run.table(split, positive_label), _options(options), run).facts())

    @classmethod
    def of_run(cls, folder: str | Path, test: Predictions, scores: Mapping[str, Score], **known: Any) -> Self:
        """Of results that were just computed, with what the folder says beside them; `known` are the other fields."""
        run = RunFolder(folder)
        return cls(run.name, test, scores, **run_facts(run), **known)

    def save(self, folder: str | Path, *, no_examples: bool = False) -> list[Path]:
        """Writes metrics.json, verdict.json and report.html, beside weights README.md too.

        Args:
            folder: made if it is not there.
            no_examples: keep the texts of the rows out of the page.

        Returns:
            the files.

        Raises:
            InputError: the folder is a run, whose own metrics of all splits would be lost.
        """
        RunFolder(folder).refuse_results(str(folder))
        return save_reports(folder, [self], no_examples=no_examples)

    @names_arguments
    def push(self, repo_id: str, *, public: bool = False, examples: bool = False) -> str:
        """Publishes the report on the Hub, without weights or rows, as `llmtune push --report_only`.

        Args:
            repo_id: `user/name`; made if it is not there, as private.
            public: make a new repository public.
            examples: leave the texts of the rows in the page.

        Returns:
            its address.

        Raises:
            InputError: no such name, no token that may write there, or a Hub that does not answer.
        """
        from llmtune.hub.push import push_run  # brings the Hub's client

        with TemporaryDirectory() as folder:
            self.save(folder)
            write_card(Path(folder), self)  # what the Hub shows first, with the numbers as model-index
            url, _ = push_run(Path(folder), repo_id, report_only=True, public=public, examples=examples)
        return url

    def __repr__(self) -> str:
        rows, kind = row_count(len(self.test)), self.test.kind.display_name.lower()
        title = f"Report {self.name!r}: {kind}, {rows} of {self.test.split}"
        numbers = [f"  {name} {with_interval(self.scores[name])}" for name in self.headlines]
        return "\n".join([title, *([self.verdict.sentence] if self.verdict else []), *numbers])

    def _repr_html_(self) -> str:
        """The page in a frame of its own: its styles and script can't touch the notebook's."""
        return framed(render_page(self), f"Report of {self.name}")


def framed(page: str, title: str, height: int = PAGE_HEIGHT) -> str:
    """A page as an iframe; `height` in pixels."""
    return (
        f'<iframe title="{escape(title)}" sandbox="allow-scripts" srcdoc="{escape(page)}" '
        f'style="width: 100%; height: {height}px; border: 0"></iframe>'
    )


def save_reports(folder: str | Path, reports: Sequence[JudgedTable], *, no_examples: bool = False) -> list[Path]:
    """Writes what several splits of one model left: all metrics together, verdict and page of the last judged one.

    Args:
        folder: made if it is not there.
        reports: of different splits.
        no_examples: keep the texts of the rows out of the page.

    Returns:
        the files.
    """
    folder = make_folder(folder)
    scores: dict[str, Mapping[str, Score]] = {}
    for report in reports:
        scores |= {report.test.split: report.scores, **baseline_splits(report.test.split, report.baselines)}
    write_metrics(folder, scores)
    paths = [folder / "metrics.json"]
    for report in [report for report in reports if report.verdict is not None][-1:]:
        assert report.verdict is not None
        write_verdict(folder, report.verdict)
        paths += [folder / "verdict.json", *write_reports(folder, report, no_examples=no_examples)]
    return paths


def write_reports(folder: Path, report: JudgedTable, *, no_examples: bool) -> list[Path]:
    """report.html, and where weights lie README.md; returns both paths. Call it when all else of the run is written."""
    written = [write_page(folder, report, no_examples=no_examples)]
    return [*written, write_card(folder, report)] if (folder / "config.json").exists() else written


def _options(options: Mapping[str, Any]) -> JudgementOptions:
    """The options of a judgement; a report as `base` is its table."""
    unknown = [name for name in options if name not in JudgementOptions.__dataclass_fields__]
    if unknown:
        raise TypeError(
            f"{unknown[0]}: no such option; expected one of {', '.join(JudgementOptions.__dataclass_fields__)}"
        )
    base, targets = options.get("base"), options.get("targets")
    if targets is not None and not isinstance(targets, str):
        raise InputError(
            f"targets: found {type(targets).__name__}, expected a text; write 'recall[spam]>=0.8,accuracy>=0.85'"
        )
    single = {name: [value] for name, value in options.items() if name in SEVERAL and is_one_name(value)}
    return JudgementOptions(**{**options, **single, "base": base.test if isinstance(base, JudgedTable) else base})


def is_one_name(value: Any) -> bool:
    """Whether an option that takes a list was given one name, function or module."""
    return isinstance(value, str) or callable(value) or hasattr(value, "compute")
