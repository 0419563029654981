"""Windows of question and context: nothing is lost, and every token knows its characters."""

import numpy as np
import pytest

from llmtune.errors import InputError
from llmtune.models.from_scratch import train_tokenizer
from llmtune.tasks.question_answering.windows import make_span_windows
from llmtune.text.spans import strip_span

WORDS = "The mill of Velmora, built in 1760 by José 😀 Lind, burnt down; nobody owns the naïve ruin today."
QUESTIONS = ["Who built the mill?", "When?", "Who owns it?"]
CONTEXTS = [WORDS, f"  {WORDS} " * 6, WORDS]
ANSWERS = [
    {"text": ["José 😀 Lind"], "answer_start": [WORDS.index("José")]},
    {"text": ["1760"], "answer_start": [CONTEXTS[1].rindex("1760")]},
    {"text": [], "answer_start": []},
]


def windows_of(model_type, **options):
    tokenizer = train_tokenizer(model_type, [WORDS, *QUESTIONS], 400, 512)
    options = {"max_length": 64, "doc_stride": 16, "is_causal": model_type == "llama", **options}
    return make_span_windows(QUESTIONS, CONTEXTS, tokenizer, answers=ANSWERS, **options), tokenizer


@pytest.mark.parametrize("model_type", ["bert", "roberta", "modernbert", "llama"])
def test_the_labelled_tokens_are_the_answer(model_type):
    windows, _ = windows_of(model_type)

    found = set()
    for number, labels in enumerate(windows.inputs["labels"]):
        first, last, begin, length = labels
        row = int(windows.row[number])
        nowhere = length - 1 if model_type == "llama" else 0
        if (first, last) == (nowhere, nowhere):
            continue
        assert begin <= first <= last < length - 1
        characters = windows.to_characters(np.array([[first, last]]), np.array([number]))[0]
        start, end = strip_span(CONTEXTS[row], *characters)
        assert (CONTEXTS[row][start:end], start) == (ANSWERS[row]["text"][0], ANSWERS[row]["answer_start"][0])
        found.add(row)
    assert found == {0, 1}, "the third has no answer"


@pytest.mark.parametrize("model_type", ["bert", "llama"])
def test_windows_of_a_long_context_cover_every_token_and_share_the_stride(model_type):
    windows, tokenizer = windows_of(model_type)

    assert windows.cut_rows >= 1
    here = np.flatnonzero(windows.row == 1)
    spans = [
        (int(windows.begin[w]), int(windows.begin[w]) + length - 1 - begin)
        for w, (_, _, begin, length) in zip(here, np.array(windows.inputs["labels"])[here].tolist(), strict=True)
    ]
    assert spans[0][0] == 0
    assert spans[-1][1] == len(windows.offsets[1])
    assert all(before[1] - after[0] == 16 for before, after in zip(spans, spans[1:], strict=False))
    assert max(map(len, windows.inputs["input_ids"])) == 64
    whole = tokenizer(CONTEXTS[1], add_special_tokens=False)["input_ids"]
    again = [windows.inputs["input_ids"][w][windows.first[w] + (16 if w > here[0] else 0) : -1] for w in here.tolist()]
    assert [token for part in again for token in part] == whole


def test_an_encoder_reads_what_its_tokenizer_makes_of_a_pair():
    windows, tokenizer = windows_of("bert", max_length=200)

    pair = tokenizer(QUESTIONS, CONTEXTS, return_token_type_ids=True)
    assert windows.inputs["input_ids"] == pair["input_ids"]
    assert windows.inputs["token_type_ids"] == pair["token_type_ids"]


def test_a_decoder_reads_the_question_before_the_context_and_ends_with_its_end_token():
    windows, tokenizer = windows_of("llama", max_length=400)

    ids = windows.inputs["input_ids"][0]
    assert tokenizer.decode(ids[:-1], skip_special_tokens=True).split() == f"{QUESTIONS[0]} {WORDS}".split()
    assert ids[0] == tokenizer.bos_token_id
    assert ids[-1] == tokenizer.eos_token_id


def test_a_long_question_leaves_half_of_the_window_to_the_context():
    tokenizer = train_tokenizer("bert", [WORDS], 300, 64)

    windows = make_span_windows(
        ["who built it " * 40], [WORDS], tokenizer, max_length=33, doc_stride=5, is_causal=False
    )

    assert windows.cut_questions == 1
    assert windows.first[0] == 1 + 15 + 1


def test_an_answer_wider_than_the_overlap_may_be_in_no_window_and_is_counted():
    tokenizer = train_tokenizer("bert", [WORDS], 300, 64)
    context = "mill of Velmora " * 12
    answer = {"text": [context.strip()], "answer_start": [0]}

    windows = make_span_windows(
        ["Who?"], [context], tokenizer, max_length=20, doc_stride=4, is_causal=False, answers=[answer]
    )

    assert windows.lost_answers == 1
    assert {tuple(labels[:2]) for labels in windows.inputs["labels"]} == {(0, 0)}


def test_answers_longer_than_a_span_may_be_are_counted_by_row():
    windows, _ = windows_of("bert")

    labels = np.array(windows.inputs["labels"])
    longest = int((labels[:, 1] - labels[:, 0]).max()) + 1
    assert longest > 1
    assert windows.answers_longer_than(longest) == 0
    assert windows.answers_longer_than(longest - 1) == 1


def test_a_stride_without_room_for_new_tokens_is_refused():
    tokenizer = train_tokenizer("bert", [WORDS], 300, 64)

    message = (
        "--doc_stride 128: windows of --max_length 128 have room for 63 tokens of the context beside a long question, "
        "of which neighbours share from 0 to 62; a third of the length is a good stride"
    )
    with pytest.raises(InputError, match=message):
        make_span_windows(["Who?"], [WORDS], tokenizer, max_length=128, doc_stride=128, is_causal=False)
