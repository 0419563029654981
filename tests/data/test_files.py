import csv
import gzip
import io
import json
import os
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtune.data import read_table
from llmtune.errors import InputError

ROWS = [
    {"text": "007", "label": "NA"},
    {"text": 'two\nlines, "quoted"', "label": "null"},
    {"text": "é 😀", "label": "1"},
]


def as_csv(rows, delimiter=","):
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, rows[0], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def as_parquet(rows):
    sink = io.BytesIO()
    pa.parquet.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def as_jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


FORMATS = {
    "rows.csv": as_csv(ROWS),
    "rows.json": json.dumps(ROWS).encode(),
    "squad_like.json": json.dumps({"version": 1, "data": ROWS}).encode(),
    "rows.jsonl": as_jsonl(ROWS),
    "no_last_newline.jsonl": as_jsonl(ROWS).rstrip(),
    "blank_end.jsonl": as_jsonl(ROWS) + b"\n \n",
    "blank_end.csv": as_csv(ROWS) + b"\r\n\n",
    "rows.parquet": as_parquet(ROWS),
    "ROWS.CSV": as_csv(ROWS),
    "mark.csv": b"\xef\xbb\xbf" + as_csv(ROWS),
    "mark.jsonl": b"\xef\xbb\xbf" + as_jsonl(ROWS),
}


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def message(path):
    with pytest.raises(InputError) as caught:
        read_table(path)
    return str(caught.value)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("zipped", [False, True])
def test_every_format_gives_the_same_rows_as_text(tmp_path, name, zipped):
    content = gzip.compress(FORMATS[name]) if zipped else FORMATS[name]
    path = write(tmp_path, name + ".gz" * zipped, content)

    assert read_table(path).to_pylist() == ROWS


def test_a_text_file_is_one_row_a_line_and_only_newlines_end_a_line(tmp_path):
    path = write(tmp_path, "lines.txt", "a\r\n\nb\u2028c\x0bd\ne")

    assert read_table(path).to_pydict() == {"text": ["a", "", "b\u2028c\x0bd", "e"]}


def test_a_field_longer_than_the_csv_modules_limit_is_read_and_the_limit_is_left_alone(tmp_path):
    limit = csv.field_size_limit()

    table = read_table(write(tmp_path, "long.csv", as_csv([{"text": "x" * 200_000}])))

    assert len(table["text"][0].as_py()) == 200_000
    assert csv.field_size_limit() == limit


def test_a_header_cell_without_a_name_gets_its_position(tmp_path):
    path = write(tmp_path, "index.csv", ",text\n0,a\n")  # as pandas writes its index

    assert read_table(path).column_names == ["column 1", "text"]


def test_json_objects_may_lack_a_key(tmp_path):
    path = write(tmp_path, "ragged.jsonl", '{"a": 1}\n{"b": ["x"]}\n')

    assert read_table(path).to_pylist() == [{"a": 1, "b": None}, {"a": None, "b": ["x"]}]


def test_class_ids_in_a_parquet_file_of_datasets_come_out_as_names(tmp_path):
    features = datasets.Features(
        {
            "label": datasets.ClassLabel(names=["ham", "spam"]),
            "tags": datasets.List(datasets.ClassLabel(names=["O", "B"])),
        }
    )
    rows = datasets.Dataset.from_dict({"label": [1, 0, -1], "tags": [[0, 1], [], [-1]]}, features=features)
    rows.to_parquet(tmp_path / "ids.parquet")

    assert read_table(tmp_path / "ids.parquet").to_pydict() == {
        "label": ["spam", "ham", None],
        "tags": [["O", "B"], [], [None]],
    }


@pytest.mark.parametrize("wrong", [2, -2])
def test_a_class_id_without_a_name_is_refused(tmp_path, wrong):
    names = datasets.Features({"label": datasets.ClassLabel(names=["ham", "spam"])}).arrow_schema.metadata
    pa.parquet.write_table(pa.table({"label": [0, wrong]}).replace_schema_metadata(names), tmp_path / "a.parquet")

    assert message(tmp_path / "a.parquet") == (
        f"{tmp_path}/a.parquet: column 'label' holds the class id {wrong}, but only 0 to 1 have names "
        f"(['ham', 'spam']); write the file again with all names"
    )


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.fixed_dictionaries({"text": cells, "label": cells}), min_size=1, max_size=8))
def test_no_row_and_no_character_is_lost_in_any_format(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("rows")
    files = {
        "r.csv": as_csv(rows),
        "r.jsonl": as_jsonl(rows),
        "r.parquet": as_parquet(rows),
    }

    for name, content in files.items():
        assert read_table(write(folder, name, content)).to_pylist() == rows


LETTERS = st.text(st.sampled_from(["a", '"', ",", " ", "'"]), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.fixed_dictionaries({"text": LETTERS, "label": LETTERS}), min_size=1, max_size=8))
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("zipped", [False, True])
def test_in_tsv_a_quotation_mark_is_a_letter(tmp_path_factory, rows, end, zipped):
    # One mark that stands alone says so for the file; without it those of pandas would be taken off.
    rows = [*rows, {"text": 'an inch is 1"', "label": "a"}]
    lines = ["text\tlabel", *(f"{row['text']}\t{row['label']}" for row in rows), ""]
    content = end.join(lines).encode()
    name = "r.tsv.gz" if zipped else "r.tsv"
    path = write(tmp_path_factory.mktemp("tsv"), name, gzip.compress(content) if zipped else content)

    assert read_table(path).to_pylist() == rows


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(st.fixed_dictionaries({"text": LETTERS, "label": LETTERS}), min_size=1, max_size=8))
def test_a_tsv_of_the_csv_module_is_read_back(tmp_path_factory, rows):
    path = write(tmp_path_factory.mktemp("tsv"), "r.tsv", as_csv(rows, "\t"))

    assert read_table(path).to_pylist() == rows


def test_a_csv_field_that_swallowed_rows_is_named(tmp_path):
    rows = [
        "text,label",
        "fine,ham",
        '"so he said,ham',
        "a second,spam",
        "and a third,ham",
        'the end",spam',
        "more,ham",
    ]

    assert message(write(tmp_path, "a.csv", "\n".join(rows))).startswith(
        f"{tmp_path}/a.csv row 2 (line 3): column 'text' holds the line breaks and commas of 4 whole rows: a quotation "
        'mark that begins a field ends only at the next one; write a quotation mark as "" inside a quoted field'
    )


def test_prose_of_several_lines_is_a_field(tmp_path):
    rows = [{"text": "Dear all, this is\na letter, of two lines", "label": "ham"}]

    assert read_table(write(tmp_path, "a.csv", as_csv(rows))).to_pylist() == rows


@settings(max_examples=300, deadline=None)
@given(
    content=st.text(st.sampled_from(list('ab,"\n\r '))), name=st.sampled_from(["f.csv", "f.jsonl", "f.json", "f.txt"])
)
def test_any_text_is_either_read_or_refused_by_name(tmp_path_factory, content, name):
    path = write(tmp_path_factory.mktemp("any"), name, content)

    try:
        opening, rows = str(path), read_table(path).num_rows
    except InputError as error:
        opening, rows = str(error), 1

    assert opening.startswith(str(path))
    assert rows > 0


# name, content, what the message says after the path
BAD_FILES = [
    ("a.csv", b"", ": the file is empty, expected at least one row; fill it or name another"),
    ("a.jsonl", b"\n \n", ": the file is empty, expected at least one row"),
    ("a.csv", b"\xef\xbb\xbf", ": the file is empty"),
    ("a.csv", "text,label\n", ": no rows (columns ['text', 'label']), expected at least one; fill the file"),
    ("a.json", "[]", ": no rows (columns []), expected at least one"),
    (
        "a.xls",
        "x",
        ": unknown ending '.xls', expected one of .csv, .tsv, .json, .jsonl, .parquet, .xlsx, .txt, .conll",
    ),
    ("a.xml.gz", "x", ".bio, .iob, each also .gz; rename or convert the file"),
    ("a.csv", b"text\na\x00b\n", " line 2: a NUL byte at offset 6: this is a binary file, expected UTF-8 text; name"),
    ("a.parquet", b"PAR1 and no more PAR1", ": not readable as parquet ("),
    ("a.parquet", b"text,label", "; write it again or mend its ending"),
    ("a.csv", as_parquet(ROWS), ": expected UTF-8 text, found a parquet file; name it .parquet"),
    (
        "a.csv",
        b"PK\x03\x04",
        ": expected UTF-8 text, found a zip or Excel file; unpack it, or name the sheet .xlsx",
    ),
    (
        "a.csv",
        gzip.compress(b"text\n", mtime=0),
        ": expected UTF-8 text, found gzip-compressed data; add .gz to its name",
    ),
    ("a.csv", "text\na\n".encode("utf-16"), ": expected UTF-8 text, found UTF-16 text; save it as UTF-8"),
    (
        "a.csv",
        b"text\ncaf\xe9\n",
        " line 2: byte 0xe9 at offset 8 is not UTF-8; convert the file to UTF-8 (from Windows",
    ),
    ("a.txt", b"\xef\xbb\xbftext\ncaf\xe9\n", " line 2: byte 0xe9 at offset 11 is not UTF-8"),
    ("a.csv.gz", b"text\n", ": ends in .gz but is not whole gzip data (Not a gzipped file (b'te')); compress it again"),
    (
        "a.csv.gz",
        gzip.compress(b"text\na", mtime=0)[:-9],
        ": ends in .gz but is not whole gzip data (Compressed file ended",
    ),
    ("a.parquet", as_parquet(ROWS)[:-9], ": not readable as parquet (Could not open"),
    ("a.parquet", "text\na", ": not readable as parquet ("),
    ("a.csv", "\ntext\na\n", " line 1: a blank line, expected the header (the names of the columns); delete it"),
    ("a.csv", "a,b,a\n1,2,3\n", " line 1: the header names 'a' twice; rename one of ['a', 'b', 'a']"),
    (
        "a.csv",
        "a,b\n1,2\n1,2,3\n",
        " row 2 (line 3): found 3 fields, expected 2 as in the header; put a field that holds ','",
    ),
    (
        "a.tsv",
        'a\tb\n"1\n1"\t2\n1\t1\n',
        " row 1 (line 2): found 1 field, expected 2 as in the header; delete tabs and line breaks inside fields",
    ),
    ("a.csv", "a\n1\n\n2\n", " row 2 (line 3): found a blank line, expected 1 as in the header; put a field"),
    (
        "a.csv",
        'a\n1\n"2"x\n',
        " row 2 (line 3): broken quoting: ',' expected after '\"'; write a quote inside a quoted",
    ),
    ("a.csv", 'a\n1\n"2\n3\n', ' row 2 (line 3 to 4): a quote never closes; write a quote inside a quoted field as ""'),
    ("a.csv", '"a\n1\n', " header (line 1 to 2): a quote never closes"),
    (
        "a.jsonl",
        '{"a": 1}\n{"a" 2}\n',
        " line 2: not JSON: Expecting ':' delimiter at column 6; write one object a line",
    ),
    ("a.jsonl", '{"a": 1}\n\n{"a": 1}', " line 2: a blank line; write one object a line"),
    ("a.jsonl", '[\n{"a": 1}\n]', ": 2 bad rows:\n  line 1: not JSON: Expecting value"),
    (
        "a.jsonl",
        '[{"a": 1}]',
        ' line 1: found [{\'a\': 1}], expected an object; write one object a line, as {"text": "…"}; a',
    ),
    ("a.jsonl", '{"a": ' + "1" * 5000 + "}", " line 1: not readable JSON: Exceeds the limit"),
    ("a.json", '[{"a" 1}]', ": not JSON (Expecting ':' delimiter: line 1 column 7 (char 6)); mend it at that place"),
    ("a.json", '{"a": 1}\n{"a": 2}', "; a file with one object a line must end in .jsonl"),
    (
        "a.json",
        '{"a": [1]}',
        ": found {'a': [1]}, expected a list of objects or {'data': [objects]}; write one object a row",
    ),
    ("a.json", '[{"a": 1}, 3]', " row 2: found 3, expected an object; write each row as an object"),
    (
        "a.jsonl",
        '{"a": 1}\n{"a": "x"}',
        " line 2: column 'a' holds 'x', which is not valid Unicode or of another type than",
    ),
    (
        "a.jsonl",
        '{"a": "\\ud83d"}',
        " line 1: column 'a' holds \\ud83d, half of a character (a lone surrogate); write the whole character, or",
    ),
]


@pytest.mark.parametrize(("name", "content", "expected"), BAD_FILES)
def test_a_bad_file_is_refused_with_place_finding_and_remedy(tmp_path, name, content, expected):
    path = write(tmp_path, name, content)

    found = message(path)

    assert found.startswith(str(path))
    assert expected in found


def test_a_missing_file_a_folder_and_an_unreadable_file_are_told_apart(tmp_path):
    unreadable = tmp_path / "memory.csv"
    unreadable.symlink_to("/proc/self/mem")

    assert message(tmp_path / "no.csv") == f"{tmp_path}/no.csv: no such file (looked in {tmp_path}); check the path"
    assert "is a folder, expected a file; give a folder with --dataset_name" in message(tmp_path)
    assert "memory.csv: cannot be read: Input/output error; check its permissions" in message(unreadable)


def test_ten_bad_rows_are_shown_and_all_are_counted(tmp_path):
    content = "a,b\n" + "".join("x\n" if row % 2 else "x,y\n" for row in range(1, 2001))

    lines = message(write(tmp_path, "a.csv", content)).splitlines()

    assert lines[0] == f"{tmp_path}/a.csv: 1,000 bad rows, the first 10 are:"
    assert lines[1] == "  row 1 (line 2): found 1 field, expected 2 as in the header"
    assert lines[10] == "  row 19 (line 20): found 1 field, expected 2 as in the header"
    assert lines[11] == "put a field that holds ',' or a line break in double quotes, and delete blank lines"
    assert len(lines) == 12


def test_a_home_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path, "rows.csv", as_csv(ROWS))

    assert read_table("~/rows.csv").num_rows == 3
    assert read_table(os.fspath(Path("~") / "rows.csv")).num_rows == 3


@pytest.mark.parametrize("cell", ['"x \\ud83d y"', '["Ada", "\\uDE00"]', '[{"label": "\\udc00"}]'])
@pytest.mark.parametrize(("name", "place"), [("a.jsonl", "line 3"), ("a.json", "row 3")])
def test_half_of_a_character_is_named_by_its_place(tmp_path, name, place, cell):
    rows = ['{"text": "fine \\ud83d\\ude00"}', '{"text": "\\\\ud83d is code"}', f'{{"text": {cell}}}']
    content = "\n".join(rows) if name == "a.jsonl" else f"[{', '.join(rows)}]"

    assert f"{name} {place}: column 'text' holds" in message(write(tmp_path, name, content))
