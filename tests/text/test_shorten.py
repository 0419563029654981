from hypothesis import given
from hypothesis import strategies as st

from llmtune.text.shorten import join_names, truncated, truncated_line


@given(st.text(), st.integers(1, 40))
def test_a_text_is_never_longer_than_asked_and_never_changed_where_it_fits(text, length):
    short = truncated(text, length)

    assert len(short) <= length
    assert short == text if len(text) <= length else text.startswith(short.removesuffix("…"))
    assert "\n" not in truncated_line(text, length)


@given(st.lists(st.sampled_from("abc")), st.integers(1, 5))
def test_no_name_is_lost_without_a_word(names, most):
    line = join_names(names, most, "classes")

    shown = [name for name in line.partition(" and ")[0].split(", ") if name]
    left_out = int(line.partition(" and ")[2].split()[0]) if " and " in line else 0
    assert len(shown) + left_out == len(names)
