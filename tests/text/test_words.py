"""What a word is, in any script: from text to predicted spans, in counts, baselines, ROUGE and near duplicates."""

import re
import unicodedata

import datasets
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmtune.baselines import tfidf_logistic_regression
from llmtune.diagnosis.degenerate_output import repeats
from llmtune.metrics.rouge_unicode import scorer
from llmtune.models.from_scratch import train_tokenizer
from llmtune.predictions import make_predictions
from llmtune.predictions.kinds import shortens
from llmtune.tasks.token_classification.task import TokenClassification
from llmtune.text.near_duplicates import NearDuplicates
from llmtune.text.sentences import sentences_of
from llmtune.text.spans import WORDS, split_words, tags_of_spans, unsegmented, word_format
from llmtune.text.words import fold_words, split_at_spaces, words_and_signs

# A text, and the names in it: a person and a place.
NAMES = {
    "Hindi": ("राम दिल्ली में रहता है।", "राम", "दिल्ली"),
    "Bengali": ("রবীন্দ্রনাথ কলকাতা শহরে জন্মগ্রহণ করেন।", "রবীন্দ্রনাথ", "কলকাতা"),
    "Tamil": ("கண்ணன் சென்னை நகரில் வாழ்கிறார்.", "கண்ணன்", "சென்னை"),
    "Telugu": ("రాముడు హైదరాబాద్ లో ఉన్నాడు.", "రాముడు", "హైదరాబాద్"),
    "Sinhala": ("ශ්‍රීමා කොළඹ ජීවත් වේ.", "ශ්‍රීමා", "කොළඹ"),  # with U+200D inside
    "Thai": ("สมชายอยู่ที่กรุงเทพมหานครแล้ว", "สมชาย", "กรุงเทพมหานคร"),
    "Lao": ("ສົມໃຈຢູ່ວຽງຈັນ", "ສົມໃຈ", "ວຽງຈັນ"),
    "Khmer": ("សុខារស់នៅភ្នំពេញ។", "សុខា", "ភ្នំពេញ"),
    "Burmese": ("အောင်အောင်သည်ရန်ကုန်တွင်နေသည်။", "အောင်အောင်", "ရန်ကုန်"),
    "Arabic, pointed": ("يَعِيشُ أَحْمَدُ فِي القَاهِرَة.", "أَحْمَدُ", "القَاهِرَة"),
    "Persian": ("علی‌رضا در تهران زندگی می‌کند.", "علی‌رضا", "تهران"),  # with U+200C inside
    "Hebrew, pointed": ("דָּוִד גָּר בְּ יְרוּשָׁלַיִם.", "דָּוִד", "יְרוּשָׁלַיִם"),
    "Chinese": ("李明昨天住在北京。", "李明", "北京"),
    "Chinese, rare": ("\U00020000\U00020001住在\U00020bb7野。", "\U00020000\U00020001", "\U00020bb7野"),
    "Japanese": ("佐々木さんはニューヨークに住んでいます。", "佐々木", "ニューヨーク"),
    "Korean": ("김민수는 서울에서 산다.", "김민수", "서울"),  # particles follow without a space
    "Korean, decomposed": (unicodedata.normalize("NFD", "김민수는 서울에서 산다."), "김민수", "서울"),
    "French, decomposed": (unicodedata.normalize("NFD", "Zoé part à Orléans."), "Zoé", "Orléans"),
    "Vietnamese": ("Nguyễn sống ở Huế.", "Nguyễn", "Huế"),
    "with an emoji": ("👩‍🚀 Ada in Oslo❤️!", "Ada", "Oslo"),
    "with marks of direction": ("\u200fדוד\u200f גר ב \u2067חיפה\u2069.", "דוד", "חיפה"),
    "with a soft hyphen": ("Al\u00adfred in Ham\u00adburg.", "Al\u00adfred", "Ham\u00adburg"),
}


def gold_spans(text, person, place):
    form = "NFD" if unicodedata.normalize("NFD", text) == text else "NFC"
    names = {"PER": person, "LOC": place}
    names = {label: name if name in text else unicodedata.normalize(form, name) for label, name in names.items()}
    spans = [{"start": text.index(name), "end": text.index(name) + len(name), "label": k} for k, name in names.items()]
    return sorted(spans, key=lambda span: span["start"])


@pytest.mark.parametrize("model_type", ["bert", "llama"])
@pytest.mark.parametrize("language", NAMES)
def test_a_span_goes_through_words_and_tokens_and_comes_back(language, model_type):
    text = NAMES[language][0]
    spans = gold_spans(*NAMES[language])
    tokenizer = train_tokenizer(model_type, [" ".join(text)] * 3, 400, 64)
    task = TokenClassification(("O", "B-LOC", "I-LOC", "B-PER", "I-PER"), 48, 8, "spans", word_format="spans")
    words = split_words(text, "spans")

    tags, widened, findings = tags_of_spans(text, words, spans)
    cut = [text[slice(*word)] for word in words]
    windows = task.encode(datasets.Dataset.from_dict({"tokens": [cut], "tags": [tags]}), tokenizer).index
    # A model that is right at every token: its outputs are the labels.
    width = max(map(len, windows.inputs["labels"]))
    labels = np.array([row + [-100] * (width - len(row)) for row in windows.inputs["labels"]])
    predicted = task.decode((np.maximum(labels, 0)[..., None], np.ones((*labels.shape, 1))), windows)
    rows, bounds = task.words_of_texts([text])

    assert (widened, findings, windows.empty_words) == (0, [], 0)
    assert rows["tokens"] == [cut]
    answers = task.spans([text], bounds, predicted)[0]
    assert [{key: span[key] for key in ("start", "end", "label")} for span in answers] == spans
    assert [span["text"] for span in answers] == [text[span["start"] : span["end"]] for span in spans]


WORD_LISTS = {
    language: [word for word in re.split(r"[ .।。။។!❤️]+", entry[0]) if word] for language, entry in NAMES.items()
}
SPACED = [name for name in WORD_LISTS if "with" not in name]


@given(st.sampled_from(SPACED).flatmap(lambda name: st.lists(st.sampled_from(WORD_LISTS[name]), min_size=1)))
def test_training_words_joined_by_spaces_are_cut_into_the_same_words(words):
    text = " ".join(words)

    assert [text[slice(*word)] for word in split_words(text, "tokens")] == words


@given(st.sampled_from(["Chinese", "Chinese, rare", "Japanese", "Thai", "Korean"]).map(lambda name: NAMES[name][0]))
def test_a_corpus_of_characters_cuts_a_raw_text_into_characters(text):
    characters = [text[slice(*word)] for word in split_words(text, "spans")]

    assert word_format("tokens", [characters, ["2024", "USA"]]) == "characters"
    assert [text[slice(*word)] for word in split_words(text, "characters")] == characters


def test_a_corpus_of_words_keeps_them_whole_and_a_text_that_is_not_cut_is_noticed():
    assert word_format("tokens", [["我", "爱", "北京", "天安门"]]) == "tokens"
    assert word_format("spans", [["我"]]) == "spans"
    assert unsegmented("สมชายอยู่ที่กรุงเทพมหานครแล้ว")
    assert not unsegmented("สมชาย อยู่ ที่ กรุงเทพมหานคร แล้ว, a sentence of nothing but letters")


def test_predict_says_where_a_model_of_words_is_given_texts_without_spaces():
    task = TokenClassification(("O", "B-LOC", "I-LOC"), 48, 8)
    tokenizer = train_tokenizer("bert", ["a b c"] * 3, 300, 64)
    rows = datasets.Dataset.from_dict({"text": ["สมชายอยู่ที่กรุงเทพมหานครแล้ว", "สมชาย อยู่ ที่ กรุงเทพ"]})

    notes = task.encode(rows, tokenizer).notes

    assert (
        "1 texts in a script without spaces are not cut into words, as the training texts were: separate"
        in "; ".join(notes)
    )


OLD = {
    "spans": re.compile(r"\w+|[^\w\s]"),
    "tokens": re.compile(
        r"(?:[^\W\d_]\.){2,}|['’](?:s|re|ve|ll|d|m|t)\b|\w+(?:[-.,:/@&+_]\w+)*|[^\w\s]", re.IGNORECASE
    ),
}


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.sampled_from("’éÄßœ½²\t\n")))
@example(text="'S²")
def test_latin_texts_are_cut_by_the_rules_of_letters_and_digits(text):
    for name, pattern in OLD.items():
        assert split_words(text, name) == [match.span() for match in pattern.finditer(text)]
        assert split_words(text, "characters") == split_words(text, "tokens")


@given(st.text(st.characters(codec="utf-8")))
def test_words_lie_apart_and_hold_every_visible_character(text):
    for name in WORDS:
        bounds = split_words(text, name)
        assert all(a[1] <= b[0] for a, b in zip(bounds, bounds[1:], strict=False))
        left = "".join(
            text[end:start]
            for end, start in zip((0, *(b for _, b in bounds)), (*(a for a, _ in bounds), len(text)), strict=True)
        )
        assert not [letter for letter in left if not (letter.isspace() or unicodedata.category(letter) == "Cf")]


@pytest.mark.parametrize("language", NAMES)
def test_a_word_of_a_count_has_its_marks(language):
    text = NAMES[language][0]

    for words in (fold_words(text), split_at_spaces(text), words_and_signs(text)):
        assert not [word for word in words if unicodedata.category(word[0])[0] == "M"]
    assert fold_words(unicodedata.normalize("NFD", text)) == fold_words(unicodedata.normalize("NFC", text))
    assert words_and_signs(unicodedata.normalize("NFD", text)) == words_and_signs(unicodedata.normalize("NFC", text))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("这部电影很好看", "这部电影很难看"),
        ("หนังเรื่องนี้ดีมาก", "หนังเรื่องนี้แย่มาก"),
        ("この映画は良い", "この映画は悪い"),
        ("यह फ़िल्म अच्छी है", "यह फ़िल्म बुरी है"),
        ("이 영화는 좋다", "이 영화는 싫다"),
    ],
)
def test_the_tfidf_baseline_reads_every_script(a, b):
    # Texts that no row of train equals, so that a sentence as one word would say nothing.
    texts = [text + tail for tail in ("。一", "。二", "。三", "。四") for text in (a, b)]
    labels = ["good", "bad"] * 4
    test = make_predictions(
        "classification", {"reference": ["good", "bad"], "prediction": ["good", "good"]}, label_names=("bad", "good")
    )

    baseline = tfidf_logistic_regression(texts[:6], labels[:6], texts[6:], test)

    assert baseline.column("prediction") == ["good", "bad"]


def test_rouge_of_thai_tells_letters_by_their_marks():
    # ม า ห ม า ม้ า beside three times ม า: 2 + 3 of 7 and of 6 are shared.
    assert scorer().score("มา หมา ม้า", "มา มา มา")["rouge1"].fmeasure == pytest.approx(2 * 5 / (7 + 6))
    assert scorer().score("ก็", "ก")["rouge1"].fmeasure == 0.0


def test_joiners_tell_no_words_apart():
    assert fold_words("می\u200cخواهم") == fold_words("میخواهم")
    assert fold_words("co\u00adoperate") == ["cooperate"]
    assert split_at_spaces("ภาษา\u200bไทย") == split_at_spaces("ภาษา") + ["\u200b"] + split_at_spaces("ไทย")


def test_sentences_end_with_the_marks_of_their_script():
    assert sentences_of("राम आया। वह गया॥ ठीक") == ["राम आया।", "वह गया॥", "ठीक"]
    assert sentences_of("من هو؟ لا أعرف.") == ["من هو؟", "لا أعرف."]
    assert sentences_of("وہ آیا۔ وہ گیا۔") == ["وہ آیا۔", "وہ گیا۔"]
    assert sentences_of("猫がいる｡犬もいる｡") == ["猫がいる｡", "犬もいる｡"]


def test_a_text_without_spaces_can_repeat_itself_and_be_shortened():
    assert repeats("很好" * 8)
    assert not repeats("今天天气很好我们去公园")
    source, summary = "今天天气很好我们去公园散步然后回家吃饭", "去公园"
    table = make_predictions("text-generation", {"source": [source], "reference": [summary], "prediction": [summary]})
    assert shortens(table)


def test_a_near_duplicate_is_seen_in_thai():
    original = "สมชายไปตลาดซื้อผลไม้และผักสดมาทำอาหารเย็นให้ครอบครัวของเขาทุกวัน"
    others = [f"ข่าว{i}วันนี้มีเรื่องใหม่" for i in range(20)]

    equal, near = NearDuplicates([original, *others]).find([original.replace("เย็น", "เช้า"), "คนละเรื่องกัน"])

    assert (equal, [(copy.row, copy.original) for copy in near]) == ({}, [(0, 0)])
