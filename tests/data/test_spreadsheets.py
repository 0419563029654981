"""Excel sheets are read as the csv that they would be."""

import importlib.util

import pytest

from llmtune.data.files import read_rows
from llmtune.errors import InputError


def write(path, **sheets):
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl reads and writes xlsx; it comes with the extra 'excel'")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_cells_are_what_the_sheet_says(tmp_path):
    path = write(
        tmp_path / "a.xlsx", rows=[["text", "label", "nr"], ["NA, then", 1, "007"], [None, 0, "null"]], empty=[]
    )

    rows = read_rows(path)

    assert rows.cells("text") == ["NA, then", None]
    assert rows.cells("label") == [1, 0]
    assert rows.cells("nr") == ["007", "null"]
    assert rows.place(1) == "row 2 (line 3)"


def test_several_sheets_with_rows_are_refused(tmp_path):
    path = write(tmp_path / "a.xlsx", train=[["text"], ["a"]], test=[["text"], ["b"]])

    with pytest.raises(
        InputError, match=r"2 sheets hold rows \(train, test\), expected one; save the one that is meant"
    ):
        read_rows(path)


def test_what_is_no_workbook_is_refused(tmp_path):
    pytest.importorskip("openpyxl", reason="openpyxl reads xlsx; it comes with the extra 'excel'")
    (tmp_path / "a.xlsx").write_text("text\na\n")

    with pytest.raises(InputError, match=r"not readable as xlsx \(.*\); save the sheet as CSV UTF-8"):
        read_rows(tmp_path / "a.xlsx")


def test_without_openpyxl_the_message_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(
        InputError, match="reading a sheet needs pandas, not installed here: pip install pandas openpyxl"
    ):
        read_rows(tmp_path / "a.xlsx")
