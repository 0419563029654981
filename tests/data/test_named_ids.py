"""--label_names, and lists in the cells of a csv."""

import pytest

from llmtune.arguments import DataArguments
from llmtune.data.named_ids import name_labels, read_label_names
from llmtune.data.rows import Rows
from llmtune.errors import InputError
from llmtune.tasks.token_classification.arguments import TokenClassificationArguments
from llmtune.tasks.token_classification.rows import load_tagged_splits

SPLIT_FILES = ("train_file", "validation_file", "test_file")


@pytest.mark.parametrize("cells", [["0", "1", "1"], [0, 1, 1], [0.0, 1.0, 1.0], ["ham", "spam", " 1"]])
def test_ids_of_any_type_get_their_names_in_the_order_of_the_flag(cells):
    rows = name_labels(Rows("f", {"label": cells}), "label", read_label_names("0=ham,1=spam"))

    assert rows.cells("label") == ["ham", "spam", "spam"]
    assert list(rows.class_names["label"]) == ["ham", "spam"]


def test_labels_that_are_no_ids_are_named_too():
    rows = name_labels(Rows("f", {"label": ["-1", "1"]}), "label", read_label_names("-1=negative, 1=positive"))

    assert rows.cells("label") == ["negative", "positive"]


def test_a_label_without_a_name_is_told_by_row():
    with pytest.raises(InputError) as raised:
        name_labels(Rows("f", {"label": ["0", "2"]}), "label", read_label_names("ham,spam"))

    assert str(raised.value) == (
        "f row 2: label '2' in column 'label' has no name in --label_names; name it too (named are 0, 1)"
    )


@pytest.mark.parametrize("text", ["ham", "0=ham,0=spam", "0=,1=spam", ""])
def test_names_that_say_nothing_are_refused(text):
    with pytest.raises(InputError, match="expected two or more labels with their names, each once, as 0=ham,1=spam"):
        read_label_names(text)


def test_one_name_for_two_labels_is_refused():
    with pytest.raises(InputError, match="two labels have the same name; give each class its own"):
        read_label_names("0=spam,1=spam")


WORDS = '"[""Ada"", ""met"", ""Babbage""]"'
PRINTED = "\"['Ada', 'met', 'Babbage']\""


@pytest.mark.parametrize("words", [WORDS, PRINTED])
def test_a_csv_with_lists_and_integer_tags_is_read_as_tagged_words(words, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["tokens,tags", *[f'{words},"[1, 0, 1]"'] * 20]))
    told = TokenClassificationArguments(label_names="O,B-PER,I-PER")

    splits = load_tagged_splits(DataArguments(**dict.fromkeys(SPLIT_FILES, str(path))), told, seed=0)

    assert splits["test"]["tokens"][0] == ["Ada", "met", "Babbage"]
    assert splits["test"]["tags"][0] == ["B-PER", "O", "B-PER"]


def test_integer_tags_of_one_word_a_row_are_named(tmp_path):
    path = tmp_path / "a.csv"
    words = [f"{sentence},{word},{tag}" for sentence in range(20) for word, tag in (("Ada", 1), ("met", 0), ("[", 0))]
    path.write_text("\n".join(["sentence,word,tag", *words]))
    told = TokenClassificationArguments(
        tokens_column="word", tags_column="tag", sentence_column="sentence", label_names="0=O,1=B-PER"
    )

    splits = load_tagged_splits(DataArguments(**dict.fromkeys(SPLIT_FILES, str(path))), told, seed=0)

    assert splits["test"]["tokens"][0] == ["Ada", "met", "["]
    assert splits["test"]["tags"][0] == ["B-PER", "O", "O"]


def test_a_list_as_numpy_prints_it_is_told_by_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("tokens,tags\n\"['Ada' 'met']\",\"['B-PER', 'O']\"\n")

    with pytest.raises(
        InputError,
        match=r"opens a list and spells none; write a JSON list, .* \(numpy prints its arrays without commas: write",
    ):
        load_tagged_splits(DataArguments(train_file=str(path)), TokenClassificationArguments(), seed=0)
