"""Bad predictions tables of every kind."""

import json

import pyarrow as pa

from llmtune.predictions.metadata import METADATA_KEY
from tests.bad_input.cases import BadInput, lines, parquet


def table(name: str, content: bytes, says: str, kind: str = "classification", more: str = "") -> BadInput:
    """A table that `report` refuses; `name` is that of its file."""
    argv = f"report {name} --output_dir out {f'--kind {kind}' if kind else ''} {more}"
    return BadInput(f"report {name}", argv, {name: content}, tuple(says.split(" … ")))


def own(name: str, says: str, **changed: object) -> BadInput:
    """A table of ours whose metadata were changed."""
    metadata = {"kind": "classification", "label_names": ["ham", "spam"], "split": "test", **changed}
    columns = {"id": [0, 1], "reference": ["ham", "spam"], "prediction": ["ham", "ham"]}
    content = parquet(columns, {METADATA_KEY.decode(): json.dumps(metadata)})
    return table(f"{name}.parquet", content, says, kind="")


PAIR = {"reference": "spam", "prediction": "ham"}
RIGHT = {"reference": "ham", "prediction": "ham"}
TAGGED = {"reference": ["B-PER"], "prediction": ["O"]}
CLASSES = [
    table(
        "name.jsonl",
        lines({**RIGHT, "\ud800": 1}),
        "name.jsonl: the column name '\\ud800' is not valid Unicode; rename",
    ),
    table(
        "ids.jsonl", lines({**RIGHT, "id": [1]}, {**PAIR, "id": [2]}), "ids.jsonl … id … expected a text or a number"
    ),
    table("t.doc", b"x", "t.doc: ending '.doc' is not one of .parquet, .csv, .tsv, .jsonl"),
    table("empty.csv", b"", "empty.csv: not readable as csv: Empty CSV file; write a header"),
    table("header.csv", b"reference,prediction\n", "the table has no rows; give one with predictions"),
    table("lacks.csv", b"reference\na\n", "no column 'prediction'; found ['reference'] … rename the column"),
    table("twice.csv", b"reference,reference,prediction\na,b,c\n", "the header names 'reference' twice; rename one"),
    table("ragged.csv", b"reference,prediction\na\n", "row 0 (line 2): not readable as csv: found 1 cells"),
    table("semicolon.csv", b"reference;prediction\na;b\n", "the columns seem separated by semicolons … save"),
    table("latin.csv", b"reference,prediction\n\xe9,a\n", "line 2: not readable as csv: byte 0xe9 is not UTF-8"),
    table("quote.csv", b'reference,prediction\n"a,b\n', "not readable as csv: unexpected end of data; double"),
    table("null.jsonl", lines({**PAIR, "prediction": None}), "row 0: prediction is empty; write the name of one class"),
    table("fine.jsonl", lines(PAIR, {**PAIR, "reference": ""}), "row 1: reference is empty; write the name"),
    table("nan.jsonl", b'{"reference": NaN, "prediction": 1}', "row 0: reference is empty; write the name of one"),
    table("list.jsonl", lines({**PAIR, "reference": ["a"]}), "row 0: reference ['a'] is no label; write the name"),
    table("half.jsonl", b'{"reference"', "line 1: not readable as jsonl … write one object a line"),
    table("three.jsonl", b"3", "line 1: not readable as jsonl: 3 is not an object; write one object a line"),
    table("repeated.jsonl", b'{"reference": "a", "reference": "b"}', "names the key 'reference' twice; keep one"),
    table("deep.jsonl", b"[" * 100_000, "line 1: not readable as jsonl … write one object a line"),
    table("letter.jsonl", b'{"reference": "\\ud800", "prediction": "a"}', "reference"),
    table(
        "mixed.jsonl", lines({**PAIR, "x": 1}, {**PAIR, "x": "a"}), "row 1: column 'x' holds 'a', which is not … type"
    ),
    table("wide.jsonl", lines(RIGHT, {**PAIR, "probabilities": [0.1]}), "row 1: 1 probabilities for 2 labels"),
    table(
        "words.jsonl",
        lines(RIGHT, {**PAIR, "probabilities": ["a", "b"]}),
        "is not a list of numbers; give one for each of",
    ),
    table(
        "number.jsonl", lines(RIGHT, {**PAIR, "probabilities": 0.5}), "is not a list of numbers; give one for each of"
    ),
    table("text.csv", b"reference,prediction,probabilities\na,b,much\n", "'much' is not a list of numbers; write e.g."),
    table(
        "labels.jsonl", lines(PAIR), "is not one of the labels ['a', 'b'] … name all with --labels", more="--labels a,b"
    ),
    table(
        "twice.jsonl",
        lines(PAIR),
        "--labels a,a: 'a' is empty or named twice; give each label once",
        more="--labels a,a",
    ),
    table(
        "positive.jsonl",
        lines(RIGHT, PAIR),
        "--positive_label 'x': … has the labels … name one of them",
        more="--positive_label x",
    ),
    table("target.jsonl", lines(RIGHT, PAIR), "--targets", more="--targets bleu>=1"),
    table("metric.jsonl", lines(RIGHT, PAIR), "no_such_metric", more="--metrics no_such_metric"),
    table("kind.jsonl", lines(PAIR), "unknown kind 'poetry'; expected one of classification", kind="poetry"),
    table("kindless.jsonl", lines(PAIR), "the table does not say its kind; give --kind, one of", kind=""),
    table(
        "source.jsonl", lines({**PAIR, "text": 3}), "row 0: column 'text' holds 3, expected a text, or a list of words"
    ),
    table(
        "attention.jsonl", lines({**PAIR, "attention": [3]}), "row 0: column 'attention' holds [3], expected a list of"
    ),
    table("group.jsonl", lines(RIGHT, PAIR), "who", more="--group_columns who"),
    table("noparquet.parquet", b"text", "noparquet.parquet: not readable as parquet"),
    table(
        "cut.parquet", parquet({"reference": ["a"], "prediction": ["b"]})[:90], "cut.parquet: not readable as parquet"
    ),
    table(
        "double.parquet",
        parquet(pa.table([["a"], ["b"], ["c"]], names=["reference", "reference", "prediction"])),
        "double.parquet: not readable as parquet: Multiple matches for FieldRef.Name(reference)",
    ),
    table(
        "time.parquet",
        parquet({"reference": ["a"], "prediction": ["b"], "at": pa.array([2**62], pa.timestamp("us"))}),
        "row 0: column 'at' holds a time of type timestamp[us] outside the years 1 to 9999",
    ),
    table("nulls.parquet", parquet({"reference": pa.nulls(2), "prediction": ["a", "b"]}), "row 0: reference is empty"),
    table("bytes.parquet", parquet({"reference": [b"a"], "prediction": ["b"]}), "row 0: reference b'a' is no label"),
]
OTHERS = [
    table(
        "sets.jsonl",
        lines({"reference": None, "prediction": []}),
        "row 0: reference is empty (null); write a list",
        "multilabel-classification",
    ),
    table(
        "sets_of_text.jsonl",
        lines({"reference": "a", "prediction": []}),
        "'a' is no list of labels; write a list",
        "multilabel-classification",
    ),
    table(
        "sets_of_null.jsonl",
        lines({"reference": [None], "prediction": []}),
        "[None] is no list of labels; write",
        "multilabel-classification",
    ),
    table(
        "tags.jsonl",
        lines({"reference": ["O", "O"], "prediction": ["O"]}),
        "2 reference tags but 1 predicted; give",
        "token-classification",
    ),
    table(
        "tags_of_text.jsonl",
        lines({"reference": "O", "prediction": "O"}),
        "row 0: column 'reference' holds 'O', expected a list of words, none of them null; write it so",
        "token-classification",
    ),
    table(
        "tags_of_null.jsonl",
        lines({"reference": [None], "prediction": ["O"]}),
        "holds [None], expected a list of",
        "token-classification",
    ),
    table(
        "tags_null.jsonl",
        lines(TAGGED, {**TAGGED, "prediction": None}),
        "row 1: column 'prediction' holds None",
        "token-classification",
    ),
    table(
        "tags_of_numbers.parquet",
        parquet({"reference": [1.5], "prediction": [2.5]}),
        "row 0: column 'reference' holds 1.5, expected a list of words",
        "token-classification",
    ),
    table(
        "tokens.jsonl",
        lines({**TAGGED, "tokens": [3.5]}),
        "row 0: column 'tokens' holds [3.5], expected a list of",
        "token-classification",
    ),
    table(
        "tokens_fewer.jsonl",
        lines({**TAGGED, "tokens": []}),
        "0 tokens but 1 tags; give one tag a word",
        "token-classification",
    ),
    table(
        "written.jsonl",
        lines({"reference": None, "prediction": "a"}),
        "row 0: reference is empty (null); give a text",
        "text-generation",
    ),
    table(
        "numbers.jsonl",
        lines({"reference": "a", "prediction": 3}),
        "3 is no text; write it as a string",
        "text-generation",
    ),
    table(
        "dates.parquet",
        parquet({"reference": ["a"], "prediction": ["b"], "source": pa.array([3], pa.timestamp("us"))}),
        "row 0: column 'source' holds … expected a text; write it so, or give the column another name",
        "text-generation",
    ),
    table(
        "source_words.jsonl",
        lines({"reference": "a", "prediction": "b", "source": ["a"]}),
        "holds ['a'], expected a text",
        "text-generation",
    ),
    table(
        "answers.jsonl",
        lines({"question": "q", "reference": [3], "prediction": "a"}),
        "3 is no text; write it as a",
        "question-answering",
    ),
    table(
        "question.jsonl",
        lines({"question": 3, "reference": ["a"], "prediction": "a"}),
        "column 'question' holds 3",
        "question-answering",
    ),
    table(
        "printed.csv",
        b"question,reference,prediction\nq,\"['a' 'b']\",c\n",
        "as numpy prints it, which can't be read",
        "question-answering",
    ),
    table(
        "below.jsonl",
        lines({"nll": -1, "tokens": 3}),
        "row 0: nll -1 is below 0; give sums over the row's tokens",
        "language-modeling",
    ),
    table(
        "likelihood.jsonl",
        lines({"nll": "much", "tokens": 3}),
        "row 0: nll 'much' is no number; give numbers",
        "language-modeling",
    ),
    table(
        "steps.jsonl",
        lines({"reference": [1, 2], "prediction": [1, 2]}, {"reference": [1], "prediction": [1]}),
        "rows have [1, 2] numbers; give one, or lists over one horizon",
        "regression",
    ),
    table(
        "shapes.jsonl", lines({"reference": [1, 2], "prediction": 1}), "give both over the same horizon", "regression"
    ),
    table(
        "number_words.csv",
        b"reference,prediction\n1,much\n",
        "'much' is no number; give a number, or a list",
        "regression",
    ),
    table(
        "number_list.jsonl",
        lines({"reference": ["a"], "prediction": [1]}),
        "is no number; give numbers, or lists",
        "regression",
    ),
    table(
        "number_date.parquet",
        parquet({"reference": pa.array([3], pa.date32()), "prediction": [1.0]}),
        "is no number; give numbers, or lists of them",
        "regression",
    ),
]
METADATA = [
    own("kind_number", "kind_number.parquet: its metadata llmtune: field kind: found 3, expected", kind=3),
    own("kind_unknown", "unknown kind 'poetry'; expected one of", kind="poetry"),
    own("names_null", "field label_names: found None, expected", label_names=None),
    own("names_text", "field label_names: found 'ham', expected", label_names="ham"),
    own("names_fewer", "is not one of the labels ['ham']", label_names=["ham"]),
    own(
        "names_twice",
        "field label_names: found ['ham', 'ham', 'spam'], expected each name once, and 'ham' stands there",
        label_names=["ham", "ham", "spam"],
    ),
    own("positive_unknown", "positive label 'eggs' is not one of the labels", positive_label="eggs"),
    own("threshold_text", "field threshold: found 'half', expected", threshold="half"),
    own("threshold_list", "field threshold: found [0.5], expected", threshold=[0.5]),
    own("threshold_outside", "field threshold: found 7.5, expected", threshold=7.5),
    own("settings_null", "field settings.null_threshold: found 'x', expected", settings={"null_threshold": "x"}),
    own("settings_rows", "field settings.nonfinite_rows: found -1, expected", settings={"nonfinite_rows": -1}),
    own(
        "settings_metric",
        "field settings.deciding_metric: found ['f1'], expected",
        settings={"deciding_metric": ["f1"]},
    ),
    own("settings_list", "field settings: found [], expected", settings=[]),
    own("split_null", "field split: found None, expected", split=None),
] + [
    table(
        f"metadata_{name.replace(' ', '_')}.parquet",
        parquet({"reference": ["a"], "prediction": ["b"]}, {METADATA_KEY.decode(): content}),
        "its metadata llmtune: … restore the table, or write its columns without",
        "",
    )
    for name, content in (
        ("empty", ""),
        ("list", "[]"),
        ("null", "null"),
        ("half", '{"kind": '),
        ("deep", '{"kind":' * 50_000),
        ("infinite", '{"threshold": Infinity}'),
    )
]
COMPARED = [
    BadInput(
        "compare lengths",
        "compare a.jsonl b.jsonl --kind classification",
        {"a.jsonl": lines(RIGHT, PAIR), "b.jsonl": lines(RIGHT, PAIR, PAIR)},
        ("a.jsonl has 2 rows, b.jsonl has 3; give predictions of the same rows",),
    ),
    BadInput(
        "compare rows",
        "compare a.jsonl b.jsonl --kind classification",
        {"a.jsonl": lines(RIGHT, PAIR), "b.jsonl": lines(PAIR, RIGHT)},
        ("b.jsonl",),
    ),
    BadInput(
        "compare metric",
        "compare a.jsonl a.jsonl --kind classification --metric luck",
        {"a.jsonl": lines(RIGHT, PAIR)},
        ("--metric 'luck' is not one of these tables'",),
    ),
    BadInput(
        "report base",
        "report a.jsonl --kind classification --base no.csv",
        {"a.jsonl": lines(RIGHT, PAIR)},
        ("no.csv: no such file",),
    ),
    BadInput(
        "report train",
        "report a.jsonl --kind classification --train_file no.csv",
        {"a.jsonl": lines(RIGHT, PAIR)},
        ("no.csv: no such file",),
    ),
]
TABLES = [*CLASSES, *OTHERS, *METADATA, *COMPARED]
