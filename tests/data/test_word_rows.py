"""One word a row with a column that numbers the sentences: the same sentences as with lists."""

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtune import cli
from llmtune.arguments import DataArguments
from llmtune.data.files import read_rows
from llmtune.data.word_rows import group_words
from llmtune.errors import InputError
from llmtune.predictions import read_predictions
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
            "row 3 (line 4): sentence '1' of column 'doc' began at row 1 (line 2) and goes on after another; number "
            "the sentences throughout, or, where their numbers begin anew with each document, name the column of the "
            "documents by --split_group_column",
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


def documents_csv(documents, *, names_once=False):
    lines = ["doc,sentence,word,tag"]
    for name, sentences in documents:
        before = None
        for number, sentence in enumerate(sentences, start=1):
            for word, tag in sentence:
                lines.append(f"{'' if names_once and before == name else name},{number},{word},{tag}")
                before = name
    return "\n".join(lines)


@settings(max_examples=50, deadline=None)
@given(
    documents=st.lists(st.lists(st.lists(st.sampled_from("xyz"), min_size=1), min_size=1, max_size=3), max_size=4),
    names_once=st.booleans(),
)
def test_numbers_that_begin_anew_with_each_document_are_kept_apart_by_it(tmp_path_factory, documents, names_once):
    named = [(f"d{n}", [[(word, "O") for word in one] for one in part]) for n, part in enumerate([[["x"]], *documents])]
    path = tmp_path_factory.mktemp("words") / "ner.csv"
    path.write_text(documents_csv(named, names_once=names_once))

    rows = group_words(read_rows(path), "sentence", "doc")

    assert rows.cells("word") == [[word for word, _ in sentence] for _, part in named for sentence in part]
    assert rows.cells("doc") == [name for name, part in named for _ in part]
    assert rows.cells("sentence") == [str(number) for _, part in named for number in range(1, len(part) + 1)]


def test_documents_named_for_the_split_keep_sentences_apart(tmp_path, capsys):
    documents = [(f"d{n}", [[("Ada", "B-PER"), (f"came{n}", "O")]]) for n in range(40)]
    (tmp_path / "ner.csv").write_text(documents_csv(documents))
    task = TokenClassificationArguments(tokens_column="word", tags_column="tag", sentence_column="sentence")

    splits = load_tagged_splits(
        DataArguments(train_file=str(tmp_path / "ner.csv"), split_group_column="doc"), task, seed=1
    )

    assert sum(len(splits[split]) for split in ("train", "validation", "test")) == 40
    flags = ["--sentence_column", "sentence", "--tokens_column", "word", "--tags_column", "tag"]
    assert not cli.run(["check", str(tmp_path / "ner.csv"), *flags, "--split_group_column", "doc"])
    assert "40" in capsys.readouterr().out


def test_an_evaluation_reads_sentences_numbered_anew_in_each_document(demo_run, tmp_path):
    sentences = [[("Ada", "B-PER"), ("came", "O")], [("Bob", "B-PER")]]
    (tmp_path / "ner.csv").write_text(documents_csv([(f"d{n}", sentences) for n in range(20)]))
    flags = ["--sentence_column", "sentence", "--tokens_column", "word", "--tags_column", "tag"]
    command = ["evaluate", "--model", str(demo_run("ner")), "--test_file", str(tmp_path / "ner.csv"), *flags]

    with pytest.raises(InputError, match="name the column of the documents by --split_group_column"):
        cli.run([*command, "--output_dir", str(tmp_path / "a")])
    cli.run([*command, "--output_dir", str(tmp_path / "b"), "--split_group_column", "doc"])

    assert len(read_predictions(tmp_path / "b" / "predictions" / "test.parquet")) == 40


def test_rows_out_of_order_within_a_document_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("doc,sentence\na,1\na,2\na,1\n")

    with pytest.raises(InputError, match="goes on after another; sort the rows by sentence, or number them anew"):
        group_words(read_rows(tmp_path / "a.csv"), "sentence", "doc")


def test_a_sentence_named_only_at_its_first_word_by_pandas_goes_on(tmp_path):
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pa.table({"n": [1.0, float("nan"), 2.0, None], "word": list("abcd")}), path)

    assert group_words(read_rows(path), "n").cells("word") == [["a", "b"], ["c", "d"]]
