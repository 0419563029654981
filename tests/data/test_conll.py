import gzip

import pytest

from llmtune.data.files import read_rows
from llmtune.errors import InputError

CONLL_2003 = """-DOCSTART- -X- -X- O

EU NNP B-NP I-ORG
rejects VBZ B-VP O

Peter NNP B-NP I-PER

-DOCSTART- -X- -X- O

Blackburn NNP B-NP I-PER
"""


@pytest.mark.parametrize("mark", ["-DOCSTART-", "-DOCSTART- O"])
def test_a_line_that_begins_a_document_needs_no_columns(tmp_path, mark):
    (tmp_path / "bare.conll").write_text(CONLL_2003.replace("-DOCSTART- -X- -X- O", mark))

    assert read_rows(tmp_path / "bare.conll").cells("tags") == [["I-ORG", "O"], ["I-PER"], ["I-PER"]]


@pytest.mark.parametrize("content", ["-DOCSTART- O\n\n", "-DOCSTART-\n"])
def test_a_conll_file_without_words_is_refused(tmp_path, content):
    (tmp_path / "bare.conll").write_text(content)

    with pytest.raises(InputError, match="no line with a word and its tag"):
        read_rows(tmp_path / "bare.conll")


def test_a_conll_file_is_one_row_a_sentence_with_its_document(tmp_path):
    (tmp_path / "eng.conll").write_text(CONLL_2003)

    rows = read_rows(tmp_path / "eng.conll")

    assert rows.cells("tokens") == [["EU", "rejects"], ["Peter"], ["Blackburn"]]
    assert rows.cells("tags") == [["I-ORG", "O"], ["I-PER"], ["I-PER"]]
    assert rows.cells("column 2") == [["NNP", "VBZ"], ["NNP"], ["NNP"]]
    assert rows.cells("document") == [1, 1, 2]
    assert rows.place(2) == "row 3 (line 10)"


def test_tabs_separate_words_that_hold_a_space_and_gzip_is_read(tmp_path):
    (tmp_path / "a.bio.gz").write_bytes(gzip.compress(b"New York\tB-LOC\nis\tO\n\n\nbig\tO"))

    rows = read_rows(tmp_path / "a.bio.gz")

    assert rows.cells("tokens") == [["New York", "is"], ["big"]]
    assert "document" not in rows.columns


def test_a_line_with_another_number_of_columns_is_named(tmp_path):
    (tmp_path / "a.conll").write_text("EU B-ORG\nrejects\n\nall O O\n")

    with pytest.raises(InputError) as error:
        read_rows(tmp_path / "a.conll")

    assert "a.conll: 2 bad rows:\n  line 2: 1 column, expected 2\n  line 4: 3 columns, expected 2" in str(error.value)
    assert "a sentence ends with a blank line" in str(error.value)


def test_words_without_tags_are_refused(tmp_path):
    (tmp_path / "a.conll").write_text("EU\nrejects\n")

    with pytest.raises(InputError, match="first line 'EU' has one column, expected a word and its tag"):
        read_rows(tmp_path / "a.conll")


@pytest.mark.parametrize("separator", ["\t", " "])
def test_a_space_that_is_no_separator_is_part_of_a_word(separator, tmp_path):
    words = ["10\u00a0000", "a\u2028b", "\u3000", "\u00a0" if separator == "\t" else "x"]
    path = tmp_path / "a.conll"
    path.write_text("".join(f"{word}{separator}O\n" for word in words), encoding="utf-8")

    assert read_rows(path).cells("tokens") == [words]


def test_comments_are_no_words_and_a_hash_is_one(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("# newdoc id = 1\n# text = Is it # 1\nIs O\nit O\n# O\n1 B-X\n\n# sent_id = 2\nAda B-X\n")

    assert read_rows(path).cells("tokens") == [["Is", "it", "#", "1"], ["Ada"]]


# A comment that is as wide as the words, and the words that stay.
WIDE_COMMENTS = {
    "# newpar": ["Ada O"],
    "# text = O": ["Ada NN B-NP O"],
    "# newdoc id = O": ["Ada NN B-NP I-NP O"],
    "#begin document": ["Ada O"],
    "#end document": ["Ada O"],
    "# sentence 7": ["Ada NN O"],
    "# a note \tabout it": ["Ada\tO"],
}


@pytest.mark.parametrize("comment", WIDE_COMMENTS)
def test_a_comment_as_wide_as_a_word_is_no_word(tmp_path, comment):
    words = WIDE_COMMENTS[comment]
    (tmp_path / "a.conll").write_text("\n".join([comment, *words, "", comment, *words]))

    assert read_rows(tmp_path / "a.conll").cells("tokens") == [["Ada"], ["Ada"]]


@pytest.mark.parametrize("word", ["# O", "# B-X", "#1 I-X", "#ada O", "## S-X", "#= O"])
def test_a_hash_with_a_tag_is_a_word_wherever_it_stands(tmp_path, word):
    (tmp_path / "a.conll").write_text(f"{word}\nAda O\n{word}\n\n{word}\n")

    hashed = word.split()[0]
    assert read_rows(tmp_path / "a.conll").cells("tokens") == [[hashed, "Ada", hashed], [hashed]]


@pytest.mark.parametrize("line", ["#ada", "#ada B-X 7"])
def test_a_hashtag_inside_a_sentence_is_not_dropped_for_its_columns(tmp_path, line):
    (tmp_path / "a.conll").write_text(f"Ada O\n{line}\n")

    with pytest.raises(InputError, match=r"a.conll line 2: \d columns?, expected 2; mend the line"):
        read_rows(tmp_path / "a.conll")


def test_a_hash_with_a_wrong_tag_is_a_word_so_that_the_tag_is_named(tmp_path):
    (tmp_path / "a.conll").write_text("Ada O\n# B_X\n\n#ada PER\n")

    assert read_rows(tmp_path / "a.conll").cells("tags") == [["O", "B_X"], ["PER"]]
