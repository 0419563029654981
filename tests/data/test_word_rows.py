"""One word a row with a column that numbers the sentences: the same sentences as with lists."""

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtune import cli
from llmtune.arguments import DataArguments
from llmtune.data.files import read_rows
from llmtune.data.word_rows import group_words
from llmtune.errors import InputError
from llmtune.tasks.token_classification.arguments import TokenClassificationArguments
from llmtune.tasks.token_classification.rows import load_tagged_splits

WORDS = st.lists(st.tuples(st.sampled_from(["Ada", "10\u00a0000", "is", '"', ","]), st.sampled_from("XYZ")), min_size=1)


def words_csv(sentences, *, names_once=False):
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(["Sentence #", "Word", "Tag"])
    for number, sentence in enumerate(sentences, start=1):
        for place, (word, tag) in enumerate(sentence):
            writer.writerow(["" if names_once and place else f"Sentence: {number}", word, tag])
    return file.getvalue()


@settings(max_examples=50, deadline=None)
@given(sentences=st.lists(WORDS, min_size=1, max_size=6), names_once=st.booleans())
def test_the_words_of_a_sentence_are_a_row_in_their_order(tmp_path_factory, sentences, names_once):
    path = tmp_path_factory.mktemp("words") / "ner.csv"
    path.write_text(words_csv(sentences, names_once=names_once), encoding="utf-8")

    rows = group_words(read_rows(path), "Sentence #")

    assert rows.cells("Word") == [[word for word, _ in sentence] for sentence in sentences]
    assert rows.cells("Tag") == [[tag for _, tag in sentence] for sentence in sentences]
    assert len(rows) == len(sentences)


SENTENCES = [[("Ada", "B-PER"), (f"came{i}", "O")] for i in range(40)]
FLAGS = ["--tokens_column", "Word", "--tags_column", "Tag", "--sentence_column", "Sentence #"]


def test_a_table_of_words_trains_as_lists_do(tmp_path):
    (tmp_path / "ner.csv").write_text(words_csv(SENTENCES))
    lists = [{"tokens": [w for w, _ in one], "tags": [t for _, t in one]} for one in SENTENCES]
    (tmp_path / "ner.jsonl").write_text("\n".join(map(json.dumps, lists)))
    by_word = TokenClassificationArguments(tokens_column="Word", tags_column="Tag", sentence_column="Sentence #")

    table = load_tagged_splits(DataArguments(train_file=str(tmp_path / "ner.csv")), by_word, seed=1)
    listed = load_tagged_splits(
        DataArguments(train_file=str(tmp_path / "ner.jsonl")), TokenClassificationArguments(), seed=1
    )

    for split in ("train", "validation", "test"):
        for column in ("tokens", "tags"):
            assert list(table[split][column]) == list(listed[split][column])


def test_a_broken_tag_is_named_by_the_line_of_its_sentence(tmp_path, capsys):
    sentences = [*SENTENCES, [("so", "O"), ("odd", "PER")]]
    (tmp_path / "ner.csv").write_text(words_csv(sentences))
    task = TokenClassificationArguments(tokens_column="Word", tags_column="Tag", sentence_column="Sentence #")

    with pytest.raises(InputError, match=r"ner.csv sentence 41 \(line 82\): "):
        load_tagged_splits(DataArguments(train_file=str(tmp_path / "ner.csv")), task, seed=1)

    cli.run(["check", str(tmp_path / "ner.csv"), "--strict", *FLAGS])
    assert "sentence 41" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a,Ada"], "no column 'sentence'; found doc, word; name the column that numbers the sentences by"),
        ([",Ada", "1,is"], "row 1 (line 2): column 'doc' is empty, expected the number of the first sentence; fill it"),
        (
            ["1,Ada", "2,is", "1,here"],
            "row 3 (line 4): sentence '1' of column 'doc' began at row 1 (line 2) and goes on after another; sort the",
        ),
    ],
)
def test_sentences_that_can_not_be_put_together_are_named(tmp_path, lines, message):
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["doc,word", *lines]))

    with pytest.raises(InputError) as refused:
        group_words(read_rows(path), "sentence" if "no column" in message else "doc")

    assert message in str(refused.value)


def test_words_without_a_sentence_column_are_refused_with_the_flag(tmp_path):
    (tmp_path / "ner.csv").write_text(words_csv(SENTENCES))
    task = TokenClassificationArguments(tokens_column="Word", tags_column="Tag")

    with pytest.raises(
        InputError, match="of one word a row name the column that numbers the sentences by --sentence_c"
    ):
        load_tagged_splits(DataArguments(train_file=str(tmp_path / "ner.csv")), task, seed=1)
