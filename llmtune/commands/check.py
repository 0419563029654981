"""`llmtune check FILES`: what in the rows would make a result wrong, before anything is trained. Nothing is written."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from llmtune.arguments import DataArguments
from llmtune.arguments.data import SPLIT_NAMES
from llmtune.data.columns import pick_columns
from llmtune.data.files import read_rows
from llmtune.data.label_sets import LABELS, gather_label_sets, looks_like_sets
from llmtune.data.rows import Rows
from llmtune.data.word_rows import group_words
from llmtune.diagnosis.data_checks import duplicates as copies
from llmtune.diagnosis.data_checks import groups, labels, scores, tags, texts
from llmtune.diagnosis.data_checks.finding import ERROR, OK, WARNING, Finding, Split, of_rows
from llmtune.errors import InputError
from llmtune.predictions.kinds import KINDS, MULTILABEL_CLASSIFICATION
from llmtune.terminal.console import Terminal, plain_table
from llmtune.terminal.document import print_document, terminal_beside

STYLES = {ERROR: "bold red", WARNING: "yellow", OK: "green"}


def check(
    *,
    files: Sequence[str] = (),
    train_file: str | None = None,
    validation_file: str | None = None,
    test_file: str | None = None,
    task: str | None = None,
    text_column: str = "text",
    text_pair_column: str | None = None,
    label_column: str = "label",
    tokens_column: str = "tokens",
    tags_column: str = "tags",
    spans_column: str = "spans",
    sentence_column: str | None = None,
    label_separator: str | None = None,
    label_columns: Sequence[str] = (),
    source_column: str = "source",
    target_column: str = "target",
    question_column: str = "question",
    context_column: str = "context",
    answers_column: str = "answers",
    group_columns: Sequence[str] = (),
    split_group_column: str | None = None,
    time_column: str | None = None,
    model_name_or_path: str | None = None,
    trust_remote_code: bool = False,
    max_length: int = 256,
    show: int = 3,
    strict: bool = False,
    output_format: str = "text",
) -> int:
    """Prints what was found; 1 where `strict` is asked and there is an error, else 0."""
    names = {
        "text": text_column,
        "label": label_column,
        # What --label_column says of rows with several labels each: else they stand under the plural.
        LABELS: LABELS if label_column == "label" else label_column,
        "tokens": tokens_column,
        "tags": tags_column,
        "spans": spans_column,
        "source": source_column,
        "target": target_column,
        "question": question_column,
        "context": context_column,
        "answers": answers_column,
    }
    given = {"train": train_file, "validation": validation_file, "test": test_file}
    count: Callable[[Sequence[str | list[str]]], np.ndarray] = texts.count_words
    if model_name_or_path:
        count = partial(count_tokens, named_tokenizer(model_name_or_path, trust_remote_code=trust_remote_code))
    rows = {split: read_rows(path) for split, path in name_splits(files, given).items()}
    if sentence_column:
        rows = {split: group_words(of, sentence_column, split_group_column) for split, of in rows.items()}
    if label_columns or label_separator:
        names[LABELS] = LABELS if label_columns else label_column
        gather = partial(gather_label_sets, separator=label_separator, label_columns=label_columns)
        rows = {split: gather(of, names[LABELS]) for split, of in rows.items()}
    if task is None and any(looks_like_sets(of, names[LABELS]) for of in rows.values()):
        task = MULTILABEL_CLASSIFICATION.name
    wanted = {name: names[name] for name in columns_of(task, rows, names)}
    if text_pair_column and "text" in wanted:
        wanted["text_pair"] = text_pair_column
    carried = [*group_columns, *filter(None, [split_group_column, time_column])]
    splits, missing = read_splits(rows, wanted, carried)
    findings = [*missing]
    for column in dict.fromkeys(group_columns):
        findings += groups.group_balance(splits, column)
    if split_group_column:
        findings += groups.ids_on_both_sides(splits, split_group_column)
    if "context" in wanted:
        findings += groups.ids_on_both_sides(splits, "context")
    if "text_pair" in wanted:
        findings += groups.halves_on_both_sides(splits, {name: wanted[name] for name in ("text", "text_pair")})
    if time_column:
        findings += groups.times_before(splits, time_column)
    of_numbers = scores.holds_numbers(splits, task)
    findings += about_rows(splits, of_numbers=of_numbers)
    # Two numbers of a text that was edited are seldom equal to the digit: copies are then told by the texts alone.
    told_apart = [replace(split, columns=without(split.columns, "label")) for split in splits] if of_numbers else splits
    findings += copies.find_duplicates(told_apart)
    findings.append(texts.lengths(splits, max_length, count, "tokens" if model_name_or_path else "words"))
    show_findings(terminal_beside(output_format), splits, findings, show)
    print_document(to_document(splits, findings), output_format)
    return int(strict and any(finding.severity == ERROR for finding in findings))


def to_document(splits: Sequence[Split], findings: Sequence[Finding]) -> dict[str, Any]:
    """The files and all findings, as JSON values."""
    counts = Counter(finding.severity for finding in findings)
    files = {
        split.name: {"file": split.rows.source, "rows": len(split), "columns": list(split.rows.columns)}
        for split in splits
    }
    listed = [{**asdict(finding), "places": list(finding.places)} for finding in findings]
    return {"files": files, "errors": counts[ERROR], "warnings": counts[WARNING], "findings": listed}


def without(columns: Mapping[str, list[Any]], name: str) -> dict[str, list[Any]]:
    """The columns but one."""
    return {other: cells for other, cells in columns.items() if other != name}


def about_rows(splits: Sequence[Split], *, of_numbers: bool = False) -> list[Finding]:
    """What single rows and their labels tell; the labels are classes, or `of_numbers`."""
    findings = [finding for split in splits for finding in texts.missing_texts(split)]
    labeled = [split for split in splits if labels.is_labeled(split)]
    if labeled and of_numbers:
        findings += scores.about_numbers(labeled)
    elif labeled:
        findings += [finding for split in labeled for finding in labels.missing_labels(split)]
        findings += [*labels.slips(labeled), *labels.unseen(labeled), labels.balance(labeled)]
        findings += [*labels.shifts(labeled), *labels.joined(labeled)]
    for split in splits:
        findings += [*tags.broken_rows(split), *tags.scheme(split)]
    findings += tags.types(splits)
    findings += [finding for split in splits if "answers" in split.columns for finding in about_answers(split)]
    return findings + texts.odd_characters(splits)


def about_answers(split: Split) -> list[Finding]:
    """Answers that do not stand in the context where their row says, and how many questions have none."""
    from llmtune.tasks.question_answering.rows import find_answer_faults  # brings datasets, which takes seconds

    cells = split.columns["answers"]
    answers, faults = find_answer_faults(
        split.rows, split.columns.get("context", [None] * len(cells)), cells, "answers"
    )
    unanswered = sum(not answer["text"] for row, answer in enumerate(answers) if row not in faults)
    sentence = f"{of_rows(unanswered, split)} have no answer"
    findings = [Finding("answers", OK, sentence)]
    if faults:
        places = [f"{split.place(row)}: {finding}" for row, (finding, _) in faults.items()]
        remedies = "; ".join(dict.fromkeys(remedy for _, remedy in faults.values()))
        findings.append(
            Finding("answers", ERROR, f"invalid answers in {of_rows(len(faults), split)}", places, remedies)
        )
    return findings


def name_splits(files: Sequence[str], given: Mapping[str, str | None]) -> dict[str, str]:
    """Split → file, train first: as the flags say, else as the file's name does; a file alone is train.

    Raises:
        InputError: no file, a name that tells no split, or two files for one.
    """
    found = {split: path for split, path in given.items() if path}
    for file in files:
        words = re.split(r"[^a-z]+", Path(file).name.lower())
        fitting = [split for split, names in SPLIT_NAMES.items() if set(names) & set(words)]
        if not fitting and len(files) == 1 and "train" not in found:
            fitting = ["train"]
        if len(fitting) != 1:
            raise InputError(
                f"{file}: its name does not tell whether it is train, validation or test; say so with --train_file, "
                "--validation_file or --test_file"
            )
        if fitting[0] in found:
            raise InputError(
                f"{file}: {found[fitting[0]]} is {fitting[0]} already; say what each is with --train_file, "
                "--validation_file and --test_file"
            )
        found[fitting[0]] = file
    if not found:
        raise InputError("no file to check; name one or more, as llmtune check train.csv test.csv")
    return {split: found[split] for split in SPLIT_NAMES if split in found}


def columns_of(task: str | None, rows: Mapping[str, Rows], names: Mapping[str, str]) -> tuple[str, ...]:
    """The canonical columns that the task reads; where no file has all of them, the task's most usual ones.

    A task is named as its kind of predictions is, or as the Hub names it.

    Raises:
        InputError: no such task.
    """
    # Tags first: rows with tags or spans may have a label column as well.
    kinds = sorted((kind for kind in KINDS.values() if kind.data_columns), key=lambda kind: not kind.tagged)
    named = [kind for kind in kinds if kind.name == task] or [kind for kind in kinds if kind.pipeline_tag == task][:1]
    if task is not None and not named:
        raise InputError(
            f"--task {task!r} is not one of {', '.join(kind.name for kind in kinds)}; leave it out to let the columns "
            "tell"
        )
    choices = [columns for kind in named or kinds for columns in kind.data_columns]
    for columns in choices:
        if any(all(of.has(names[name]) for name in columns) for of in rows.values()):
            return columns
    return choices[0] if task else ("text", "label")


def read_splits(
    rows: Mapping[str, Rows], wanted: Mapping[str, str], carried: Sequence[str]
) -> tuple[list[Split], list[Finding]]:
    """The columns of each file, and findings on those that only some files have.

    Raises:
        InputError: no file has the column.
    """
    flags = dict.fromkeys(wanted, "") | dict.fromkeys(carried, "carried")
    columns: dict[str, dict[str, list[object]]] = {split: {} for split in rows}
    findings = []
    for name in flags:
        errors = {}
        for split, of in rows.items():
            data = DataArguments(group_columns=[name] if flags[name] else [])
            try:
                columns[split] |= pick_columns(of, columns={} if flags[name] else {name: wanted[name]}, data=data)
            except InputError as error:
                errors[split] = error
        if len(errors) == len(rows):
            raise next(iter(errors.values()))
        findings += [Finding("columns", ERROR, str(error)) for error in errors.values()]
    return [Split(split, of, columns[split]) for split, of in rows.items()], findings


def named_tokenizer(name: str, *, trust_remote_code: bool = False):  # type: ignore[no-untyped-def]
    """The tokenizer of a checkpoint or Hub id."""
    from llmtune.models.pretrained_tokenizer import load_tokenizer
    from llmtune.models.remote_code import say_code_run

    expected = "no tokenizer could be loaded; give a checkpoint folder or a Hub id"
    tokenizer = load_tokenizer(name, f"--model_name_or_path {name}", expected, trust_remote_code=trust_remote_code)
    say_code_run(name, tokenizer)
    return tokenizer


def count_tokens(tokenizer, batch: Sequence[str | list[str]]) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Tokens of each text, with those that the tokenizer adds."""
    joined = [text if isinstance(text, str) else " ".join(text) for text in batch]
    # As the tasks read it: the letters of a control token in a text are letters.
    encoded = tokenizer(joined, truncation=False, verbose=False, split_special_tokens=True)
    return np.array([len(ids) for ids in encoded["input_ids"]], dtype=np.int64)


def show_findings(terminal: Terminal, splits: Sequence[Split], findings: Sequence[Finding], show: int) -> None:
    """What was read, then a table of the findings, the worst first."""
    terminal.block("Data", [])
    data = plain_table("split", "rows", "file", "columns")
    for split in splits:
        data.add_row(split.name, f"{len(split):,}", split.rows.source, ", ".join(split.rows.columns))
    terminal.table(data)
    by_severity = {severity: [one for one in findings if one.severity == severity] for severity in STYLES}
    errors, warnings = len(by_severity[ERROR]), len(by_severity[WARNING])
    terminal.block("Findings", [])
    terminal.table(finding_table(by_severity, show))
    terminal.block(f"{errors or 'no'} errors, {warnings or 'no'} warnings", [])


def finding_table(by_severity: Mapping[str, Sequence[Finding]], show: int) -> Table:
    """How bad, and the finding with its first rows and the remedy."""
    table = plain_table("", "finding")
    for severity, findings in by_severity.items():
        for finding in findings:
            lines = [
                f"{finding.check}: {finding.sentence}".replace("\n", "\n  "),
                *(f"  {place}" for place in finding.places[:show]),
            ]
            if len(finding.places) > show:
                lines.append(f"  and {len(finding.places) - show:,} more (--show {len(finding.places)})")
            if finding.remedy:
                lines.append(f"→ {finding.remedy}")
            table.add_row(Text(severity, style=STYLES[severity]), Text("\n".join(lines)))
    return table
