"""The texts of rows in a report's page: where they begin and end, how many there are, and the page without them."""

import re

ROWS_BEGIN, ROWS_END = "<!-- llmtune: texts of {} rows -->", "<!-- llmtune: end of rows -->"  # no text can hold one
_ROWS = re.compile(re.escape(ROWS_BEGIN).replace(r"\{\}", r"(\d+)") + ".*?" + re.escape(ROWS_END), re.DOTALL)


def count_rows(page: str) -> int:
    """The rows whose texts a page shows."""
    return sum(int(match[1]) for match in _ROWS.finditer(page))


def without_rows(page: str) -> str:
    """The page, as it is made with --no_examples."""
    return _ROWS.sub("", page)
