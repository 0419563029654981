"""A text that stands beside its offsets is compared with what stands there, and the unit that would fit is named."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtune.tasks.question_answering.rows import answer_offset_error
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


def test_an_end_that_is_included_is_named():
    span = {"start": 5, "end": 8, "label": "PER", "text": "Anna"}

    assert span_findings("call Anna", [span]) == [
        "span 5:8 PER has the text 'Anna', but 'Ann' stands there (it ends at 9: the end is the first character after "
        "it)"
    ]


@given(st.integers(0, 30), st.lists(st.sampled_from(["Ada", "Bob", " "]), min_size=1, max_size=8))
def test_of_several_places_the_nearest_is_named(start, words):
    text = "Ada" + "".join(words)
    places = [place for place in range(len(text)) if text.startswith("Ada", place)]
    if start in places:
        return

    named = int(find_offset(text, start, "Ada").rsplit(" ", 1)[1])

    assert abs(named - start) == min(abs(place - start) for place in places)


def test_a_span_beyond_the_text_is_named_with_the_unit_that_reaches_it():
    beyond = "span 5:9 PER does not lie within the text's 7 characters"

    assert span_findings("😀😀 Anna", [{"start": 5, "end": 9, "label": "PER"}]) == [
        f"{beyond} (it would in UTF-16 code units, as JavaScript and Java do)"
    ]
    assert span_findings("at Anna", [{"start": 5, "end": 9, "label": "PER"}]) == [beyond]


NAMES = st.sampled_from(["Zoë", "Ñandú", "Hanyū", "김철수", "Ångström"])


@given(NAMES, st.sampled_from(["", "Müller and ", "a "]), st.sampled_from([("NFC", "NFD"), ("NFD", "NFC")]))
def test_a_text_given_in_another_unicode_form_is_told_so_with_the_place(name, before, forms):
    form, other = forms
    before = unicodedata.normalize(form, before)
    text, own = before + unicodedata.normalize(form, name), unicodedata.normalize(other, name)
    span = {"start": len(before), "end": len(before) + len(own), "label": "PER", "text": own}
    answers = {"text": [own], "answer_start": [len(before)]}

    for finding in (*span_findings(text, [span]), answer_offset_error(text, answers)):
        assert f"in Unicode form {form} it begins at {len(before)}: normalize both texts alike" in finding


def test_a_text_of_mixed_unicode_forms_is_told_so():
    assert find_offset("Zoe\u0308 Zo\xeb", 0, "Zo\xeb Zoe\u0308").startswith(
        "it is in the text in another Unicode form"
    )
    assert find_offset("\ufb01ne", 0, "fine").startswith("it is in the text in another Unicode form: normalize both")
