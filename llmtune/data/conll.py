"""CoNLL files: one word a line, its tag in the last column, a blank line after each sentence.

Columns are separated by tabs where the first line has one, else by spaces; any other space, such as the no-break space
of French numbers, is part of a word. A line that begins with # is a comment where it has not the columns of a word, or
says `# key = value`, or stands before a sentence and has no tag; else # begins a word. A `-DOCSTART-` line is no
sentence: it begins a document, and each sentence then has its number in the column `document` (for
--split_group_column).
"""

import re
from collections.abc import Sequence
from typing import Any

from llmtune.data.rows import RowErrors, Rows
from llmtune.errors import InputError, truncated_repr
from llmtune.text.tag_schemes import parse_tag

DOCUMENT_START, COMMENT = "-DOCSTART-", "#"
BLANK = " \t"  # not str.strip's: a no-break space or U+2028 is a letter here
# CoNLL-U's "# sent_id = 7" and "# newdoc id = x", CoNLL-2012's "#begin document (x); part 000".
KEY = re.compile(r"# *[\w.:-]+( [\w.:-]+)? ?=( |$)|#(begin|end) document\b")
TAB, SPACES = re.compile("\t"), re.compile("[ \t]+")


def read_sentences(source: str, lines: Sequence[str]) -> Rows:
    """One row a sentence: `tokens`, `tags`, further columns by number, and `document` where the file marks documents.

    Raises:
        InputError: a line has another number of columns than the first, or there is only one column.
    """
    # A line that begins a document may have fewer columns, or none but its mark.
    marks = (DOCUMENT_START, COMMENT)
    first = next((line for line in lines if line.strip(BLANK) and not line.startswith(marks)), "")
    if not first:
        raise InputError(f"{source}: no line with a word and its tag, separated by a tab or space; fill the file")
    separator = TAB if "\t" in first.strip(BLANK) else SPACES
    width = len(separator.split(first.strip(BLANK)))
    if width < 2:
        raise InputError(
            f"{source}: its first line {truncated_repr(first)} has one column, expected a word and its tag, "
            "separated by a tab or space; a text without tags goes into a .txt file"
        )
    problems = RowErrors(source)
    sentences: list[list[list[str]]] = []
    begins: list[int] = []
    documents: list[int] = []
    document, inside = 0, False
    for number, line in enumerate(lines, start=1):
        fields = separator.split(line.strip(BLANK))
        if line.startswith(COMMENT) and _is_comment(line, fields, width, inside=inside):
            continue
        starts_document = line.startswith(DOCUMENT_START)
        if not line.strip(BLANK) or starts_document:
            document += starts_document
            inside = False
            continue
        if len(fields) != width:
            noun = "column" if len(fields) == 1 else "columns"
            remedy = "mend the line; a sentence ends with a blank line"
            problems.add(number, f"line {number}", f"{len(fields)} {noun}, expected {width}", remedy=remedy)
            continue
        if not inside:
            sentences.append([])
            begins.append(number)
            documents.append(document)
            inside = True
        sentences[-1].append(fields)
    problems.stop()
    columns: dict[str, list[Any]] = {}
    for position in range(width):
        name = {0: "tokens", width - 1: "tags"}.get(position, f"column {position + 1}")
        columns[name] = [[fields[position] for fields in sentence] for sentence in sentences]
    if document:
        columns["document"] = documents
    return Rows(source, columns, lines=begins)


def _is_comment(line: str, fields: Sequence[str], width: int, *, inside: bool) -> bool:
    """Whether a line that begins with # is no word; `inside`: a sentence has begun."""
    if KEY.match(line):
        return True
    is_mark = fields[0].split(" ")[0] == COMMENT  # else it may be a hashtag, which is not dropped for its missing tag
    if len(fields) != width:
        return is_mark or not inside
    return is_mark and not inside and not any(map(parse_tag, fields[1:]))
