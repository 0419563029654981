"""Quoting and rows: every table of the csv module is read back, and a csv cell that swallowed rows is named."""

import csv
import gzip
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtune.data import read_table
from llmtune.errors import InputError
from llmtune.predictions.files import read_table_file
from llmtune.text.delimited import swallowed_rows

LABELS = ("ham", "spam")
ENDS = ["\n", "\r\n", "\r"]
# Lines of letters, poems, addresses and amounts: their commas stand before a space, at a line's end, in a number.
LINES = st.sampled_from(
    ["Dear Ann,", "12 High St,", "I paid 1,000 for it", "well, so be it", "a", "it's 7,", "", '"x"']
)
PROSE = st.lists(LINES, min_size=1, max_size=5).map("\n".join)


def readers(path):
    """What the readers of train data and of predictions make of the same file."""
    return read_table(path), read_table_file(path, None)


def written(folder, name, content, *, mark=False):
    path = folder / name
    encoded = content.encode("utf-8-sig" if mark else "utf-8")
    path.write_bytes(gzip.compress(encoded, mtime=0) if name.endswith(".gz") else encoded)
    return path


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(PROSE, min_size=20, max_size=25), label_first=st.booleans(), end=st.sampled_from(ENDS))
def test_poems_letters_and_addresses_are_cells(tmp_path_factory, texts, label_first, end):
    rows = [{"text": text, "label": LABELS[row % 2]} for row, text in enumerate(texts)]
    names = ["label", "text"] if label_first else ["text", "label"]
    file = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if end == "\r" else csv.QUOTE_MINIMAL  # the module would leave a \n in \r lines unquoted
    writer = csv.DictWriter(file, names, lineterminator=end, quoting=quoting)
    writer.writeheader()
    writer.writerows(rows)
    path = written(tmp_path_factory.mktemp("prose"), "r.csv", file.getvalue())

    for table in readers(path):
        assert table.select(["text", "label"]).to_pylist() == rows


@settings(max_examples=150, deadline=None)
@given(data=st.data(), label_first=st.booleans(), end=st.sampled_from(ENDS), mark=st.booleans(), zipped=st.booleans())
def test_rows_between_two_quotation_marks_are_named(tmp_path_factory, data, label_first, end, mark, zipped):
    first = data.draw(st.integers(0, 18))
    last = data.draw(st.integers(first + 1, 19))
    texts = [f"row {row}" for row in range(20)]
    texts[first], texts[last] = f'"{texts[first]}', f'{texts[last]}"'
    cells = [("text", "label"), *((text, LABELS[row // 2 % 2]) for row, text in enumerate(texts))]
    lines = [",".join(row[::-1] if label_first else row) for row in cells]
    folder = tmp_path_factory.mktemp("marks")
    path = written(folder, "r.csv.gz" if zipped else "r.csv", end.join(lines), mark=mark)

    with pytest.raises(InputError) as refused:
        read_table(path)
    count = last - first + 1
    assert str(refused.value).startswith(
        f"{path} row {first + 1} (line {first + 2}): column 'text' holds the line breaks and commas of {count} whole"
    )
    if not zipped:
        with pytest.raises(InputError, match=f"row {first} .*column 'text' holds the line breaks .* {count} whole"):
            read_table_file(path, None)


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        # one word a row, and the word is a quotation mark
        ([("1", ",O\n1,Hello,O\n1,", "O"), *[("1", "go", "O"), ("1", "Ann", "B-PER")] * 4], 3),
        # numbers and empty cells where the column has them
        ([("7", "so he said,\n8,more,\n9,it ends", ""), *[(str(n), "text", "") for n in range(6)]], 3),
        ([("7", "so he said,\nx,more,\n9,it ends", ""), *[(str(n), "text", "") for n in range(6)]], None),
        # spaces after commas where the column has them; a line ends at LF and CR, not at U+2028
        ([("so he said, 1\nmore\u2028so, 2\nit ends", " 1"), *[("text", " 1"), ("text", " 2")] * 3], 3),
        ([("so he said, 1\nmore, 2\nit ends", "1"), *[("text", "1"), ("text", "2")] * 3], None),
        # texts beside texts: one comma is no sign, two are
        ([("a sum of 1,000\nand more", "x"), ("b", "y"), ("c", "z")], None),
        ([("hallo,hello\ntschüss,bye\nende", "end"), ("b", "y"), ("c", "z")], 3),
        ([("one\ncolumn",), ("a",)], None),
    ],
)
def test_what_stands_between_the_commas_decides(rows, count):
    header = ["a", "b", "c"][: len(rows[0])]

    assert [swallowed.rows for swallowed in swallowed_rows(rows, header)] == ([count] if count else [])


TSV_CELLS = st.text(st.sampled_from(["a", '"', ",", " ", "'"]), min_size=1, max_size=6)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.fixed_dictionaries({"text": TSV_CELLS, "label": TSV_CELLS}), min_size=1, max_size=6),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    end=st.sampled_from(ENDS),
    mark=st.booleans(),
)
def test_a_tsv_of_the_csv_module_is_read_back(tmp_path_factory, rows, quoting, end, mark):
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, ["text", "label"], delimiter="\t", quoting=quoting, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    path = written(tmp_path_factory.mktemp("tsv"), "r.tsv", file.getvalue(), mark=mark)

    for table in readers(path):
        assert table.to_pylist() == rows


@pytest.mark.parametrize("name", ["r.txt", "r.conll", "r.csv", "r.tsv", "r.txt.gz"])
def test_lines_that_end_in_cr_are_lines(tmp_path, name):
    separator = "," if name == "r.csv" else "\t"
    lines = {"r.txt": ["a", "b", "c"], "r.txt.gz": ["a", "b", "c"], "r.conll": ["Ann\tB-PER", "", "Bob\tB-PER"]}
    content = "\r".join([*lines.get(name, [f"x{separator}y", f"1{separator}2", f"3{separator}4"]), ""])
    unix, mac = tmp_path / f"unix{name[1:]}", tmp_path / f"mac{name[1:]}"
    written(tmp_path, unix.name, content.replace("\r", "\n"))
    written(tmp_path, mac.name, content)

    assert read_table(mac).num_rows > 1
    assert read_table(mac).equals(read_table(unix))


def excel_tsv(rows):
    """As Excel's "Text (Tab delimited)": a cell with a mark or a comma in quotation marks, those inside doubled."""
    quoted = [['"' + cell.replace('"', '""') + '"' if set(cell) & {'"', ","} else cell for cell in row] for row in rows]
    return "".join("\t".join(row) + "\r\n" for row in quoted)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.tuples(TSV_CELLS, TSV_CELLS), min_size=1, max_size=6), mark=st.booleans())
def test_a_tsv_of_excel_is_read_back(tmp_path_factory, rows, mark):
    rows = [("text", "label"), *rows, *[("well, so", "a")] * 5]
    path = written(tmp_path_factory.mktemp("excel"), "r.tsv", excel_tsv(rows), mark=mark)

    for table in readers(path):
        assert [tuple(row.values()) for row in table.to_pylist()] == rows[1:]


# What Excel would have quoted, or wouldn't have: the marks are letters.
@pytest.mark.parametrize(
    "lines",
    [
        ['"Yes, sir"', "he said"],
        ['"Yes, sir"'] * 5 + ["well, he said"],
        ['"Yes, sir"'] * 5 + ['"Yes"'],
        ['"He said ""hi"""', '"Yes"'],
        ['"He said ""hi"""', '"Yes, sir"', "well, he said"],
        ['"Yes, sir"'] * 5 + ['"Yes," he said, "sir"'],
    ],
)
def test_marks_that_excel_did_not_write_are_letters(tmp_path, lines):
    path = written(tmp_path, "r.tsv", "\n".join(["text", *lines]))

    for table in readers(path):
        assert table["text"].to_pylist() == lines


def test_a_line_break_in_a_cell_of_excel_is_refused(tmp_path):
    path = written(tmp_path, "r.tsv", 'text\tlabel\r\n"two\nlines"\ta\r\n')

    with pytest.raises(InputError, match=r"line 2\): found 1 field, .*a sheet whose cells hold them is saved as CSV"):
        read_table(path)
    with pytest.raises(InputError, match=r"found 1 cells, .*; a sheet whose cells hold them is saved as CSV UTF-8"):
        read_table_file(path, None)
