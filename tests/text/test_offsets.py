"""A text that stands beside its offsets is compared with what stands there, and the unit that would fit is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtune.text.offsets import find_offset
from llmtune.text.spans import span_findings

TEXTS = st.text(st.sampled_from("ab é😀😀𝔸न"), max_size=12)


@given(TEXTS, st.sampled_from(["Ada", "Zoë", "😀x"]), TEXTS)
@pytest.mark.parametrize(("codec", "size", "unit"), [("utf-16-le", 2, "UTF-16"), ("utf-8", 1, "bytes of UTF-8")])
def test_the_unit_that_fits_is_named(codec, size, unit, before, own, after):
    text, start = before + own + after, len(before)
    given_start = len(before.encode(codec)) // size

    if given_start == start or text[given_start : given_start + len(own)] == own or own in before:
        return
    said = find_offset(text, given_start, own)

    # Where both units fit by chance, the place is right in either.
    assert said.endswith(f"in characters it begins at {start}")
    assert unit in said or "UTF-16" in said


@given(TEXTS, TEXTS)
def test_a_span_whose_text_stands_there_is_right(before, after):
    text, start = f"{before} Ada {after}", len(before) + 1

    assert span_findings(text, [{"start": start, "end": start + 3, "label": "PER", "text": "Ada"}]) == []
    assert span_findings(text, [{"start": start - 1, "end": start + 4, "label": "PER", "text": " Ada "}]) == []


def test_a_span_whose_text_stands_elsewhere_is_named_with_what_stands_there():
    span = {"start": 2, "end": 5, "label": "PER", "text": "Ada"}

    assert span_findings("😀 Ada", [{**span, "start": 3, "end": 6}]) == [
        "span 3:6 PER has the text 'Ada', but 'da' stands there (the offsets count UTF-16 code units, as JavaScript "
        "and Java do: in characters it begins at 2)"
    ]
    assert span_findings("😀 Bob, Ada", [span]) == [
        "span 2:5 PER has the text 'Ada', but 'Bob' stands there (it begins at 7)"
    ]
    assert "(it is nowhere in the text)" in span_findings("😀 Bob", [span])[0]
