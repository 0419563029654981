"""Documents of txt files, prompts with completions, chats: what is read, and what is refused by its place."""

import json

import pytest

from llmtune.arguments import DataArguments
from llmtune.errors import InputError
from llmtune.tasks.causal_lm.rows import RowReader

COLUMNS = {name: name for name in ("text", "prompt", "completion", "messages")}


def read(path, input_format="text", *, start=None, labeled=True):
    rows, _ = RowReader(input_format, COLUMNS, start).split(DataArguments(test_file=str(path)), labeled=labeled)
    return rows


def jsonl(folder, *rows):
    path = folder / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_blank_lines_stand_between_the_documents_of_a_txt_file(tmp_path):
    path = tmp_path / "play.txt"
    path.write_text("\nFirst:\n  Speak.\n\n\n \nAll:\nSpeak, speak.\n\n")

    for start in (None, ""):  # the empty one takes a model back from the expression that it was trained with
        assert read(path, start=start)["text"][:] == ["First:\n  Speak.", "All:\nSpeak, speak."]


def test_a_document_starts_where_the_expression_matches_and_keeps_its_blank_lines(tmp_path):
    path = tmp_path / "articles.txt"
    path.write_text("before\n = One = \n\n text .\n = = Part = = \n\n more .\n = Two = \n\n end .\n")

    documents = read(path, start="^ = [^=]")["text"][:]

    assert documents == ["before", " = One = \n\n text .\n = = Part = = \n\n more .", " = Two = \n\n end ."]


def test_no_letter_of_a_txt_file_is_lost(tmp_path):
    lines = ["a", " b", "", "c", "\t", "d", "", "", "e"]
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(lines))

    for start in (None, "c"):
        assert "\n".join(read(path, start=start)["text"][:]).split() == ["a", "b", "c", "d", "e"]


def test_rows_of_other_files_are_documents_as_they_are(tmp_path):
    path = jsonl(tmp_path, {"text": "one\n\ntwo"}, {"text": "three"})

    assert read(path, start="^two")["text"][:] == ["one\n\ntwo", "three"]


def test_prompts_are_read_without_completions_where_nothing_is_scored(tmp_path):
    path = jsonl(tmp_path, {"prompt": "Why?"})

    assert read(path, "prompt_completion", labeled=False).column_names == ["id", "prompt"]


@pytest.mark.parametrize(
    ("row", "finding"),
    [
        ({"prompt": "Why?", "completion": " "}, "line 2: found ' ' in column 'completion', expected a text"),
        ({"prompt": "Why?", "completion": None}, "line 2: found None in column 'completion', expected a text"),
        ({"prompt": ["a", "b"], "completion": "x"}, r"line 2: found \['a', 'b'\] in column 'prompt', expected a text"),
    ],
)
def test_a_prompt_or_completion_that_is_no_text_is_named(tmp_path, row, finding):
    path = jsonl(tmp_path, {"prompt": "Who?", "completion": "You."}, row)

    with pytest.raises(InputError, match=finding) as error:
        read(path, "prompt_completion")
    assert "write it, or delete the row; chats are read with --input_format messages" in str(error.value)


USER, ANSWER = {"role": "user", "content": "Who?"}, {"role": "assistant", "content": "You."}


def test_equal_chats_are_told_by_all_they_say(tmp_path):
    rows = read(jsonl(tmp_path, {"messages": [USER, ANSWER]}), "messages")

    assert rows["transcript"][:] == ["user: Who?\nassistant: You."]
    assert rows["messages"][0] == [USER, ANSWER]


@pytest.mark.parametrize(
    ("chat", "finding"),
    [
        ("Who?", r"line 1: found 'Who\?', expected a list of messages"),
        ([], r"line 1: found \[\], expected a list of messages"),
        ([{"role": "bot", "content": "x"}], "line 1: message 0 has the role 'bot', expected one of system, user"),
        ([USER, {"role": "assistant", "content": 3}], "line 1: message 1 has the content 3, expected a text"),
        ([USER], "line 1: no turn of the assistant, so nothing to learn"),
    ],
)
def test_a_chat_that_is_none_is_named(tmp_path, chat, finding):
    with pytest.raises(InputError, match=finding) as error:
        read(jsonl(tmp_path, {"messages": chat}), "messages")
    assert 'write a list of {"role": …, "content": …}, or delete the row' in str(error.value)


def test_a_chat_to_answer_does_not_end_with_an_answer(tmp_path):
    assert len(read(jsonl(tmp_path, {"messages": [USER]}), "messages", labeled=False)) == 1
    with pytest.raises(InputError, match="the last message is the assistant's, so nothing to answer"):
        read(jsonl(tmp_path, {"messages": [USER, ANSWER]}), "messages", labeled=False)


def test_an_unknown_format_and_an_expression_that_is_none_are_refused():
    with pytest.raises(InputError, match="--input_format 'chat': expected one of text, prompt_completion, messages"):
        RowReader("chat", COLUMNS)
    with pytest.raises(InputError, match=r"--document_start '\(': no regular expression: missing \)"):
        RowReader("text", COLUMNS, "(")
