"""Cells of foreign tables: each says what it says, whatever its neighbors and its file's format are."""

import csv
import datetime
import json
from decimal import Decimal
from functools import partial

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtune.comparison.paired import PairedTables
from llmtune.data.files import read_rows
from llmtune.errors import InputError
from llmtune.metrics import score_predictions
from llmtune.predictions import read_predictions
from llmtune.predictions.table import predictions_from_arrow

SQUAD = [{"text": ["Paris", "in Paris"], "answer_start": [5, 2]}, {"text": [], "answer_start": []}]
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\t\0\"'"), min_size=1).filter(str.strip)


def write(folder, ending, columns):
    path = folder / f"rows{ending}"
    names, rows = list(columns), list(zip(*columns.values(), strict=True))
    if ending == ".parquet":
        pa.parquet.write_table(pa.table(columns), path)
    elif ending == ".jsonl":
        path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows))
    else:
        with path.open("w", newline="") as file:
            writer = csv.writer(file, delimiter="," if ending == ".csv" else "\t")
            writer.writerow(names)
            writer.writerows(
                [json.dumps(cell) if isinstance(cell, list | dict) else cell for cell in row] for row in rows
            )
    return path


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_answers_laid_out_as_in_squad_are_their_texts(tmp_path, ending):
    path = write(tmp_path, ending, {"reference": SQUAD, "prediction": ["Paris", ""]})

    table = read_predictions(path, kind="question-answering")

    assert table.column("reference") == [["Paris", "in Paris"], []]
    assert score_predictions(table)["exact_match"].value == 100


@pytest.mark.parametrize(("sign", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_a_csv_separated_otherwise_is_refused_with_what_separates_it(tmp_path, sign, name):
    (tmp_path / "a.csv").write_text(f"reference{sign}prediction\nham{sign}spam, I think\n")

    with pytest.raises(InputError, match=f"a.csv: the columns seem separated by {name}: found the one name 'reference"):
        read_predictions(tmp_path / "a.csv", kind="classification")


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_an_answer_list_stays_one_beside_a_question_without_answer(tmp_path, ending):
    path = write(tmp_path, ending, {"reference": [["Paris", "in Paris"], []], "prediction": ["Paris", ""]})

    table = read_predictions(path, kind="question-answering")

    assert table.column("reference") == [["Paris", "in Paris"], []]
    assert table.column("prediction") == ["Paris", ""]


@pytest.mark.parametrize(
    ("cell", "answers"),
    [
        ("", []),
        ("Paris", ["Paris"]),
        ('["Paris", "Lyon"]', ["Paris", "Lyon"]),
        ("['Paris', 'Lyon']", ["Paris", "Lyon"]),
        ("{'text': ['Paris'], 'answer_start': [3]}", ["Paris"]),
        ("[sic]", ["[sic]"]),
        ("['tis done]", ["['tis done]"]),
        ("[]", []),
        ("1969", ["1969"]),
    ],
)
def test_an_answer_cell_of_a_csv_is_read_by_itself(tmp_path, cell, answers):
    path = write(tmp_path, ".csv", {"reference": [cell, '["x"]', "y"], "prediction": ["a", "x", "y"]})

    assert read_predictions(path, kind="question-answering").column("reference") == [answers, ["x"], ["y"]]


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("kind", ["classification", "text-generation", "question-answering"])
@pytest.mark.parametrize(
    "texts",
    [
        ("2014-05-01", "2014-05-02"),
        ("2014-05-01T10:00:00Z", "12:30:00"),
        ("007", "1_000"),
        ("true", "null"),
        ("NA", "nan"),
        ("1e5", "0x1F"),
    ],
)
def test_a_text_that_looks_like_something_else_is_a_text(tmp_path, ending, kind, texts):
    path = write(tmp_path, ending, {"reference": list(texts), "prediction": list(texts)})

    table = read_predictions(path, kind=kind)

    references = [[text] for text in texts] if kind == "question-answering" and ending in (".csv", ".tsv") else texts
    assert table.column("reference") == list(references)
    assert table.column("prediction") == list(texts)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5), st.randoms())
def test_the_order_of_rows_and_columns_changes_no_cell(tmp_path_factory, rows, random):
    folder = tmp_path_factory.mktemp("order")
    reference, prediction = map(list, zip(*rows, strict=True))
    first = read_predictions(
        write(folder, ".tsv", {"reference": reference, "prediction": prediction}), kind="text-generation"
    )
    order = list(range(len(rows)))
    random.shuffle(order)
    shuffled = {"note": ["7"] * len(rows), "prediction": [prediction[i] for i in order]}
    second = read_predictions(
        write(folder, ".jsonl", {**shuffled, "reference": [reference[i] for i in order]}), kind="text-generation"
    )

    for name in ("reference", "prediction"):
        assert [first.column(name)[i] for i in order] == second.column(name)


def test_a_quotation_mark_is_a_letter_in_tsv(tmp_path):
    (tmp_path / "rows.tsv").write_text('reference\tprediction\n"So, it begins\ta\nb\tb\nit ends"\tc\n')

    table = read_predictions(tmp_path / "rows.tsv", kind="text-generation")

    assert table.column("reference") == ['"So, it begins', "b", 'it ends"']


def test_a_csv_cell_that_swallowed_rows_is_named(tmp_path):
    (tmp_path / "rows.csv").write_text('reference,prediction,source\n"So it begins,a,x\nb,b,x\nit ends",c,x\n')

    with pytest.raises(InputError) as refused:
        read_predictions(tmp_path / "rows.csv", kind="text-generation")

    assert str(refused.value) == (
        f"{tmp_path}/rows.csv row 0 (line 4): column 'reference' holds the line breaks and commas of 3 whole rows: a "
        'quotation mark that begins a cell ends only at the next one; write a quotation mark as "" inside a cell in '
        "double quotes"
    )


def test_prose_over_several_lines_is_a_cell(tmp_path):
    prose = "Yes, sir, he said,\nand left, at once, by the door.\nShe, too."
    path = write(tmp_path, ".csv", {"reference": [prose], "prediction": [prose], "source": ["s"]})

    assert read_predictions(path, kind="text-generation").column("reference") == [prose]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.tsv", "reference\tprediction\na\tb\tc\n",
         "row 0 (line 2): not readable as tsv: found 3 cells, the header has 2; delete tabs and line"),
        ("rows.csv", 'reference,prediction\n"a"b,c\n',
         "line 2: not readable as csv: ',' expected after '\"'; double a quotation mark inside a quoted cell"),
        ("rows.csv", "reference,prediction,reference\na,b,c\n",
         "the header names 'reference' twice; rename one of ['reference', 'prediction', 'reference']"),
        ("rows.csv", "", "not readable as csv: Empty CSV file; write a header and a line a row"),
        ("rows.jsonl", '{"reference": "a", "prediction": "b"}\n["a"]\n',
         "line 2: not readable as jsonl: ['a'] is not an object; write one object a line, such as"),
        ("rows.jsonl", '{"reference": "a", "prediction": "b"}\n{"reference": "a", "prediction": 7}\n',
         "row 1: column 'prediction' holds 7, which is not valid Unicode or of another type than the rows before it"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_is_refused_with_its_place(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)

    with pytest.raises(InputError) as refused:
        read_predictions(tmp_path / name, kind="text-generation")

    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("regression", "reference,prediction\n1,x\n", "row 0: prediction 'x' is no number; give a number, or a list"),
        ("regression", "reference,prediction\n1,1_000\n", "row 0: prediction '1_000' is no number; give a number"),
        ("question-answering", "reference,prediction\nx,x\n['a' 'b'],a\n",
         "row 1: reference \"['a' 'b']\" is a list as numpy prints it, which can't be read back; write a JSON list"),
        ("question-answering", 'reference,prediction\n"[\'a\' ""it\'s""]",a\n', "is a list as numpy prints it"),
        ("text-generation", "reference,prediction\n['a cat'\t'the cat'],a cat\n", "is a list as numpy prints it"),
        ("token-classification", "reference,prediction\nO,O\n",
         "row 0: reference 'O' is no list of texts; write a JSON list, such as [\"B-PER\", \"O\"]"),
        ("classification", "reference,prediction\na,\n",
         "row 0: prediction is empty; write the name of one class, or delete the row"),
    ],
)  # fmt: skip
def test_a_cell_that_its_column_cannot_hold_is_named(tmp_path, kind, content, message):
    (tmp_path / "rows.csv").write_text(content)

    with pytest.raises(InputError) as refused:
        read_predictions(tmp_path / "rows.csv", kind=kind)

    assert message in str(refused.value)


def test_dates_in_parquet_are_refused_by_row_where_texts_are_due(tmp_path):
    from llmtune.metrics import score_predictions

    days = [datetime.date(2014, 5, 1)]
    path = write(tmp_path, ".parquet", {"reference": days, "prediction": days})

    with pytest.raises(InputError, match=r"row 0: datetime.date\(2014, 5, 1\) is no text; write it as a string"):
        score_predictions(read_predictions(path, kind="text-generation"))


@pytest.mark.parametrize(
    ("kind", "columns", "message"),
    [
        ("regression", {"reference": [1.0], "prediction": [datetime.date(2014, 5, 1)]},
         "row 0: prediction datetime.date(2014, 5, 1) is no number; give numbers, or lists of them"),
        ("regression", {"reference": [[[1]]], "prediction": [[[1]]]},
         "row 0: reference [[1]] is no number; give numbers, or lists of them"),
        ("language-modeling", {"nll": [[1.0, 2.0]], "tokens": [2]}, "row 0: nll [1.0, 2.0] is no number; give numbers"),
        ("language-modeling", {"nll": [1.0], "tokens": [datetime.timedelta(1)]}, "row 0: tokens datetime.timedelta("),
    ],
)  # fmt: skip
def test_what_is_no_number_in_parquet_is_named(tmp_path, kind, columns, message):
    from llmtune.metrics import score_predictions

    path = write(tmp_path, ".parquet", columns)

    with pytest.raises(InputError) as refused:
        score_predictions(read_predictions(path, kind=kind))

    assert message in str(refused.value)


@pytest.mark.parametrize("ending", [".csv", ".tsv"])
@pytest.mark.parametrize("kind", ["text-generation", "question-answering"])
@pytest.mark.parametrize("cell", ["['one' 'two']", "[\"it's\" 'two']", "{'text': array(['a'], dtype=object), 'n': 1}"])
def test_a_list_that_numpy_printed_is_refused(tmp_path, ending, kind, cell):
    path = write(tmp_path, ending, {"reference": [cell, "b"], "prediction": ["one", "b"]})

    with pytest.raises(InputError, match="row 0: reference .* is a list as numpy prints it, which can't be read back;"):
        read_predictions(path, kind=kind)


@pytest.mark.parametrize("text", ["[sic] 'a' 'b'", "[he said 'a' 'b']", "{'text': 'a'}", "['a', 'b'] 'c'"])
def test_a_text_in_brackets_is_no_list(tmp_path, text):
    path = write(tmp_path, ".csv", {"reference": [text], "prediction": ["one"]})

    assert read_predictions(path, kind="text-generation").column("reference") == [text]


@pytest.mark.parametrize("words", [pa.dictionary(pa.int32(), pa.string()), pa.string_view(), pa.large_string()])
def test_tags_in_any_arrow_type_of_texts_are_read(tmp_path, words):
    from llmtune.metrics import score_predictions

    flat = pa.array(["O", "B-PER"] * 2)
    flat = flat.dictionary_encode() if pa.types.is_dictionary(words) else flat.cast(words)
    tags = pa.ListArray.from_arrays(pa.array([0, 2, 4], pa.int32()), flat)
    path = write(tmp_path, ".parquet", {"reference": tags, "prediction": [["O", "B-PER"]] * 2})

    assert score_predictions(read_predictions(path, kind="token-classification"))["entity_f1"].value == 1


def test_parquet_that_names_a_column_twice_is_refused_in_one_line(tmp_path):
    columns = [pa.array(["a"]), pa.array(["a"]), pa.array(["b"])]
    table = pa.table(columns, names=["reference", "prediction", "prediction"])
    pa.parquet.write_table(table, tmp_path / "a.parquet")

    with pytest.raises(InputError, match=r"not readable as parquet: Multiple matches for .*prediction\).*$") as refused:
        read_predictions(tmp_path / "a.parquet", kind="classification")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", [pa.dictionary(pa.int32(), pa.string()), pa.string_view(), pa.large_string()])
def test_texts_of_any_arrow_type_are_compared(kind, tmp_path):
    texts = {"reference": ["a cat", "a dog"], "prediction": pa.array(["the cat", "a dog"]).cast(kind)}
    table = predictions_from_arrow(pa.table(texts), "here", kind="text-generation")
    other = predictions_from_arrow(pa.table({**texts, "prediction": ["a", "b"]}), "there", kind="text-generation")

    assert PairedTables(table, other, seed=0).both.column("prediction") == ["the cat", "a dog", "a", "b"]


def test_decimals_are_numbers_as_any_other(tmp_path):
    cells = pa.array([Decimal("1.50"), Decimal("2.25")], pa.decimal128(5, 2))
    columns = {"reference": cells, "prediction": pa.array([1, 2**64 - 1], pa.uint64())}
    pa.parquet.write_table(pa.table(columns), tmp_path / "t.parquet")

    table = read_predictions(tmp_path / "t.parquet", kind="regression")

    assert table.column("reference") == [1.5, 2.25]
    assert table.column("prediction") == [1.0, 2.0**64]


def test_a_column_of_parquet_whose_name_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    pa.parquet.write_table(
        pa.table({"reference": ["a"], "prediction": ["a"], "n\x01m": ["b"]}), path, store_schema=False
    )
    path.write_bytes(path.read_bytes().replace(b"n\x01m", b"n\x80m"))

    for read in (partial(read_predictions, kind="classification"), read_rows):
        with pytest.raises(InputError, match="a column's name holds the byte 0x80, which is not UTF-8; rename it"):
            read(path)
