"""Against sacrebleu, rouge_score and SQuAD, and the published vectors (notes/evaluation.md, section 3)."""

import re
import string
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from llmtune.metrics import score_predictions
from llmtune.metrics.bleu import tokenizer_for
from llmtune.predictions import make_predictions
from llmtune.text.words import fold_words

HYPOTHESES = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]
REFERENCES = [
    ["The dog bit the man.", "The dog had bit the man."],
    ["It was not unexpected.", "No one was surprised."],
    ["The man bit him first.", "The man had bitten the dog."],
]
TEXT = st.text(st.sampled_from("aab bcd .,é今\n'"), max_size=30) | st.text(max_size=20)


def score_texts(predictions, references, *, kind="text-generation", metrics=(), **settings):
    rows = {"reference": references, "prediction": predictions}
    return score_predictions(make_predictions(kind, rows, settings=settings), metrics=metrics)


def streams(references):
    most = max(map(len, references))
    return [[row[i] if i < len(row) else None for row in references] for i in range(most)]


@settings(max_examples=250, deadline=None)
@given(st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=3)), min_size=1, max_size=6))
def test_scores_are_sacrebleus_on_any_text(rows):
    predictions, references = [row[0] for row in rows], [row[1] for row in rows]

    found = score_texts(predictions, references, bleu_tokenizer="intl", language="de")

    for name, metric in {
        "bleu": BLEU(tokenize="intl", force=True),
        "chrf": CHRF(),
        "chrf++": CHRF(word_order=2),
        "ter": TER(),
    }.items():
        expected = metric.corpus_score(predictions, streams(references))
        assert found[name].value == pytest.approx(expected.score, rel=1e-12, abs=1e-12), name
        assert found[name].signature.startswith(str(metric.get_signature()))


def test_published_bleu_chrf_ter():
    found = score_texts(HYPOTHESES, REFERENCES)

    assert found["bleu"].value == pytest.approx(48.530827, abs=1e-6)
    assert found["bleu"].signature.startswith("nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0")
    assert found["chrf"].value == pytest.approx(59.73, abs=5e-3)
    assert found["chrf++"].value == pytest.approx(59.15, abs=5e-3)
    assert found["ter"].value == pytest.approx(40.0)
    for tokenizer, bleu in (("none", 49.191957), ("intl", 43.916235)):
        assert score_texts(HYPOTHESES, REFERENCES, bleu_tokenizer=tokenizer)["bleu"].value == pytest.approx(
            bleu, abs=1e-6
        )
    assert score_texts(["aa"], ["ab"])["chrf"].value == pytest.approx(25.0)
    assert score_texts(["a b c"], ["abc"])["chrf"].value == pytest.approx(100.0)
    assert score_texts(["d e f g h a b c"], ["a b c d e f g h"])["ter"].value == pytest.approx(12.5)
    assert score_texts([""], ["a"])["ter"].value == pytest.approx(100.0)


def test_the_tokenizer_follows_the_language():
    chinese = ["今天天气很好，我们去公园玩。"], ["今天天气不错，我们去公园玩耍。"]

    for told in ({}, {"language": "zh_CN"}, {"language": "zho_Hans"}):
        bleu = score_texts(*chinese, **told)["bleu"]
        assert bleu.value == pytest.approx(58.64, abs=5e-3)
        assert "tok:zh" in bleu.signature
    assert tokenizer_for("ja", None) in ("ja-mecab", "char")
    assert tokenizer_for("ko-KR", None) in ("ko-mecab", "char")
    assert tokenizer_for("th", None) == "char"
    assert tokenizer_for("de_DE", None) == "13a"


@pytest.mark.parametrize("language", ["zh", "ja_XX", "jpn_Jpan"])
def test_13a_is_refused_for_chinese_and_japanese(language):
    with pytest.raises(ValueError, match="found tokenizer '13a' on language .* expected .* leave bleu_tokenizer out"):
        score_texts(["a"], ["b"], language=language, bleu_tokenizer="13a")


@pytest.mark.parametrize(("reference", "prediction"), [(1, "a"), ([1], "a"), ("a", 1)])
def test_numbers_are_no_texts(reference, prediction):
    with pytest.raises(ValueError, match="row 0: 1 is no text; write it as a string"):
        score_texts([prediction], [reference])


def test_short_texts_have_no_bleu_and_the_report_says_so():
    bleu = score_texts(["good day"] * 40, ["good day"] * 40)["bleu"]

    assert bleu.value == 0.0
    assert "no prediction has four words" in bleu.reason


def test_corpus_intervals_hold_the_score_and_agree_with_sacrebleus():
    rng = np.random.default_rng(0)
    words = list("abcdefghijklmnop")
    references = [" ".join(rng.choice(words, 12)) for _ in range(300)]
    predictions = [
        " ".join(w if rng.random() < 0.8 else str(rng.choice(words)) for w in row.split()) for row in references
    ]

    found = score_texts(predictions, references)
    theirs = BLEU(force=True).corpus_score(predictions, [references], n_bootstrap=1000)

    for name in ("bleu", "chrf", "chrf++", "ter", "rouge1", "rougeL"):
        assert found[name].low <= found[name].value <= found[name].high
    assert found["bleu"].high - found["bleu"].low == pytest.approx(2 * theirs._ci, rel=0.15)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=2)), min_size=1, max_size=4), st.booleans())
def test_rouge_is_rouge_scores_mean(rows, stemmer):
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], use_stemmer=stemmer)
    expected = [scorer.score_multi(references, prediction) for prediction, references in rows]

    found = score_texts([row[0] for row in rows], [row[1] for row in rows], rouge_stemmer=stemmer)

    for name in scorer.rouge_types:
        assert found[name].value == pytest.approx(np.mean([row[name].fmeasure for row in expected]), abs=1e-12)


@pytest.mark.parametrize(
    ("reference", "prediction", "name", "f1"),
    [
        ("testing one two", "testing", "rouge1", 0.5),
        ("testing one two", "testing one", "rouge2", 2 / 3),
        ("testing one two", "testing one", "rougeL", 0.8),
        ("testing one two", "testing two", "rouge2", 0.0),
        ("testing one two", "testing two", "rougeL", 0.8),
        ("w1 w2 w3 w4 w5", "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "rougeLsum", 8 / 15),
        ("a b c\nd e f", "d e f\na b c", "rougeLsum", 1.0),
        ("a b c\nd e f", "d e f\na b c", "rougeL", 0.5),
    ],
)
def test_published_rouge(reference, prediction, name, f1):
    assert score_texts([prediction], [reference])[name].value == pytest.approx(f1)


def test_rouge_reads_other_scripts_under_another_name():
    found = score_texts(["नमस्ते दुनिया", "今天天气"], ["नमस्ते दुनिया", "今天天气"], metrics=["rouge_unicode"])

    assert found["rouge1"].value == 0.0
    assert "2 of 2 references are not in letters that ROUGE reads" in found["rouge1"].reason
    assert found["rouge1_unicode"].value == 1.0
    found = score_texts(["राम 20 साल"], ["राम 20 साल"])["rouge1"]  # the number alone is read
    assert (found.value, found.reason[:18]) == (1.0, "1 of 1 references ")
    assert fold_words("Ｈｅｌｌｏ, wörld été") == ["hello", "wörld", "été"]
    assert score_texts(["t"], ["été"], metrics=["rouge1_unicode"])["rouge1_unicode"].value == 0.0


def test_ter_is_left_out_of_long_texts_but_given_when_asked_for():
    long = [" ".join(["word"] * 120)] * 2

    assert "ter" not in score_texts(long, long)
    assert score_texts(long, long, metrics=["ter"])["ter"].value == 0.0


def squad(prediction, references):
    """The official evaluate-v2.0.py."""

    def fold(text):
        text = "".join(letter for letter in text.lower() if letter not in set(string.punctuation))
        return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())

    def f1(reference):
        said, wanted = fold(prediction).split(), fold(reference).split()
        same = sum((Counter(said) & Counter(wanted)).values())
        if not said or not wanted:
            return float(said == wanted)
        return (
            0.0
            if same == 0
            else 2 * (same / len(said)) * (same / len(wanted)) / (same / len(said) + same / len(wanted))
        )

    references = [row for row in references if fold(row)] or [""]
    return max(float(fold(prediction) == fold(row)) for row in references), max(f1(row) for row in references)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(*[st.text(st.sampled_from("the an xyz.,!é"), max_size=20)] * 3), min_size=1, max_size=5))
def test_answers_are_scored_by_squads_rules(rows):
    expected = np.mean([squad(row[0], row[1:]) for row in rows], axis=0) * 100

    found = score_texts([row[0] for row in rows], [list(row[1:]) for row in rows], kind="question-answering")

    assert [found["exact_match"].value, found["f1"].value] == pytest.approx(expected.tolist(), abs=1e-10)


@pytest.mark.parametrize(
    ("prediction", "references", "exact", "f1"),
    [
        ("1976", ["1976"], 100, 100),
        ("the Norman conquest of England", ["Norman conquest"], 0, 66.67),
        ("The Eiffel Tower!", ["eiffel tower"], 100, 100),
        ("in 1976, Santa Clara", ["Santa Clara, California", "Levi's Stadium in Santa Clara"], 0, 66.67),
        ("", [], 100, 100),
        ("", ["The"], 100, 100),
        ("", ["the", "x"], 0, 0),  # a reference that folds to nothing doesn't count beside another
        ("今天", ["今天天气"], 0, 66.67),  # by character; SQuAD's own words give 0
    ],
)
def test_published_answers(prediction, references, exact, f1):
    found = score_texts([prediction], [references], kind="question-answering")

    assert (found["exact_match"].value, found["f1"].value) == pytest.approx((exact, f1), abs=5e-3)


def test_a_row_without_text_is_named():
    with pytest.raises(ValueError, match="row 1: prediction is empty"):
        score_texts(["a", None], ["a", "b"])
    with pytest.raises(ValueError, match="row 0: reference is empty"):
        score_texts(["a", "b"], [[], ["b"]])


SCRIPTS = {
    "hi": "नमस्ते दुनिया", "bn": "ওহে বিশ্ব", "ta": "வணக்கம் உலகம்", "th": "สวัสดีชาวโลก", "ar": "مرحبا بالعالم",
    "he": "שלום עולם", "zh": "你好世界", "ja": "こんにちは世界", "ko": "안녕 세상",
    "ru": "привет мир", "el": "γειά σου",
}  # fmt: skip


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_texts_without_latin_letters_have_a_rouge_without_being_asked(text):
    found = score_texts([text, text], [text, text])

    assert found["rouge1_unicode"].value == 1.0
    assert found["rouge1"].reason.startswith(
        "2 of 2 references are not in letters that ROUGE reads (a-z and 0-9 alone)"
    )
    assert "rouge1_unicode" not in score_texts(["été"], ["a été vu"])
