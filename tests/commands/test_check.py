"""`llmtune check`: every flaw is found with its rows, all at once; --strict exits 1 where a result would be wrong."""

import json
import random
import re
from pathlib import Path

import pytest

from llmtune import cli
from llmtune.errors import InputError
from tests.text.test_near_duplicates import changed, make_texts

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def make_rows(n, seed=0):
    rng = random.Random(seed)
    return [{"text": text, "label": rng.choice(["ham", "spam"])} for text in make_texts(n, seed, (12, 20))]


@pytest.fixture
def write(tmp_path):
    """Writes splits as jsonl and gives their paths."""

    def _write(**splits):
        paths = []
        for name, rows in splits.items():
            path = tmp_path / f"{name}.jsonl"
            path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
            paths.append(str(path))
        return paths

    return _write


@pytest.fixture
def check(capsys, monkeypatch):
    """Exit code and what was printed, in one line."""
    monkeypatch.setenv("COLUMNS", "110")

    def _check(*arguments):
        code = cli.run(["check", *map(str, arguments)])
        return code, " ".join(capsys.readouterr().out.split())

    return _check


def test_clean_splits_pass_strictly(write, check):
    paths = write(train=make_rows(400), validation=make_rows(100, 1), test=make_rows(100, 2))

    code, out = check(*paths, "--strict")

    assert code == 0
    assert "train 400" in out
    assert "ok duplicates: no duplicate texts" in out
    assert "ok near duplicates: no near-duplicate texts" in out
    assert "ok characters: no sign of a wrong encoding" in out
    assert out.endswith("no errors, no warnings")


def test_all_flaws_are_told_at_once(write, check):
    train, test = make_rows(400), make_rows(100, 2)
    train[3]["text"] = " "
    train[4]["label"] = None
    train[5]["label"] = "spma"
    test[6]["label"] = "offer"
    test[7]["text"] = 17
    test[8] = train[8]
    test[9]["text"] = "donâ€™t go " + test[9]["text"]
    test[10]["text"] += " \ufffd"
    test[11]["text"] += "\x07"

    code, out = check(*write(train=train, test=test), "--strict")

    assert code == 1
    assert "error empty: no text in 1 of 400 train rows train line 4: ' '" in out
    assert "→ write the text or delete the rows" in out
    assert "error empty: text that is not a text in 1 of 100 test rows test line 8: 17 → write a text" in out
    assert "error labels: no class in 1 of 400 train rows train line 5: None" in out
    assert "error labels: label 'spma' (1 row) is probably 'spam'" in out
    assert "train line 6 → write 'spam'" in out
    assert "error labels: label 'offer' of 1 of 100 test rows never occurs in train test line 7" in out
    assert "warning duplicates: 1 of 100 test rows (1.0 %) also in train test line 9 = train line 9: '" in out
    assert "garbled letters (mojibake) in 1 of 100 test rows (1.0 %) test line 10: 'donâ€™t go" in out
    assert "replacement characters (U+FFFD) in 1 of 100 test rows" in out
    assert "control characters in 1 of 100 test rows" in out
    assert "5 errors" in out


def test_without_strict_the_same_exits_0(write, check):
    code, out = check(*write(train=[{"text": "", "label": "a"}, {"text": "b", "label": "b"}]))

    assert code == 0
    assert "error empty" in out


@pytest.mark.parametrize(("edits", "kind", "sign"), [(0, "duplicates", "="), (1, "near duplicates", "~")])
def test_copies_across_splits_spoil_with_their_rows(write, check, edits, kind, sign):
    rng = random.Random(3)
    train, test = make_rows(400), make_rows(100, 2)
    for row in range(10):
        test[row] = train[row + 50] | {"text": changed(train[row + 50]["text"], edits, rng, "replaced")}

    code, out = check(*write(train=train, test=test), "--strict", "--show", "20")

    assert code == 1
    assert f"error {kind}: 10 of 100 test rows (10.0 %)" in out
    assert all(f"test line {row + 1} {sign} train line {row + 51}" in out for row in range(10))
    assert "delete them from test, or give the recipe one file to split" in out


def test_repeats_within_a_split_and_their_labels(write, check):
    train = make_rows(400)
    train[9] = {"text": train[2]["text"].upper(), "label": train[2]["label"]}
    for row in (20, 30, 40):
        other = {"ham": "spam", "spam": "ham"}[train[row]["label"]]
        train[row + 1] = {"text": f"{train[row]['text']}!", "label": other}

    code, out = check(*write(train=train), "--strict")

    assert code == 1
    assert "warning duplicates: repeats of an earlier row: 4 of 400 train rows (1.0 %)" in out
    assert "train line 10 = line 3" in out
    assert "error conflicting labels: equal texts, different labels: 6 of 400 train rows (1.5 %)" in out
    assert f"train line 21 '{train[20]['label']}' and line 22" in out
    assert "→ decide for one label of each text" in out


def test_more_rows_than_shown_are_counted(write, check):
    rows = make_rows(50)
    for row in rows[:5]:
        row["text"] = ""

    _, out = check(*write(train=rows), "--show", "2")

    assert "train line 1: '' train line 2: '' and 3 more (--show 5)" in out


def test_unbalanced_and_scarce_classes(write, check):
    train = [row | {"label": "ham" if at % 10 else "spam"} for at, row in enumerate(make_rows(400))]
    test = [row | {"label": "ham" if at % 2 else "spam"} for at, row in enumerate(make_rows(40, 1))]

    _, out = check(*write(train=train, test=test))

    assert "warning classes: train: ham 360 (90.0 %), spam 40 (10.0 %)" in out
    assert "too few of 'ham', 'spam' for an interval" in out
    assert (
        "judge by F1 and recall, not by accuracy; consider --class_weights balanced; "
        "add test rows, 30 or more of each class" in out
    )
    assert "warning classes: 'spam' is 50 % of test, 10 % of train" in out


def test_one_class_alone_spoils_train(write, check):
    code, out = check(*write(train=[row | {"label": "ham"} for row in make_rows(50)]), "--strict")

    assert code == 1
    assert "error classes: train: ham 50 (100.0 %); one class alone" in out


def test_a_class_that_test_lacks_is_told(write, check):
    train = [*make_rows(200), *({"text": f"an offer number {n}", "label": "offer"} for n in range(50))]

    _, out = check(*write(train=train, test=make_rows(100, 1)))

    assert "test has no row of 'offer', which train has" in out


def test_lengths_in_words_and_in_tokens(write, check, spam_model):
    rows = make_rows(60)
    for row in rows[:10]:
        row["text"] = " ".join(["call me now"] * 20)
    paths = write(train=rows)

    _, words = check(*paths, "--max_length", "30")
    _, tokens = check(*paths, "--max_length", "30", "--model_name_or_path", spam_model)

    assert "warning length: in words; texts are cut at 30 tokens train: median 1" in words
    assert "longest 60; at least 10 rows cut (16.7 %) train line 1: 60 words" in words
    assert "--max_length 60 keeps 99 % whole, if the model takes that" in words
    assert "length: in tokens; texts are cut at 30 tokens" in tokens
    assert "train line 1: 62 tokens" in tokens  # 60 words, [CLS] and [SEP]


def test_a_model_without_tokenizer_is_named(write, check, tmp_path):
    with pytest.raises(
        InputError, match="--model_name_or_path .*: no tokenizer could be loaded; give a checkpoint folder or"
    ):
        check(*write(train=make_rows(20)), "--model_name_or_path", tmp_path)


def test_tags_are_read_and_judged(write, check):
    good = {"tokens": ["Ann", "Lee", "sings"], "tags": ["B-PER", "I-PER", "O"]}
    train = [good | {"tokens": ["Ann", f"Lee{n}", "sings"]} for n in range(50)]
    test = [
        good,
        {"tokens": ["a", "b"], "tags": ["O"]},
        {"tokens": ["a", "b"], "tags": ["O", "PER"]},
        {"tokens": ["in", "Rome"], "tags": ["O", "I-LOC"]},
        {"tokens": ["x"], "tags": "O"},
        *({"tokens": ["Bob", f"Ray{n}"], "tags": ["B-PER", "I-PER"]} for n in range(9)),
    ]

    code, out = check(*write(train=train, test=test), "--strict")

    assert code == 1
    assert "ok tags: train follows IOB2 throughout" in out
    assert "error tags: invalid tags in 3 of 14 test rows test line 2: 2 words and 1 tags" in out
    assert "test line 3: 'PER' (word 2) is not a tag" in out
    assert "test line 5: found 'O', expected a list" in out
    assert "not IOB2, which most rows follow, in 1 of 14 test rows: in IOB2 I-X stands only after B-X or I-X" in out
    assert "test line 4 word 2: I-LOC after O" in out
    assert "warning entities: 1 test entities of type 'LOC', a type that train does not have: all will be missed" in out


def test_mixed_schemes_and_trains_without_entities_spoil(write, check):
    rows = [{"tokens": ["a", "b"], "tags": ["S-PER", "U-PER"]}] * 3
    _, mixed = check(*write(train=rows))
    _, none = check(*write(train=[{"tokens": ["a", "b"], "tags": ["O", "O"]}]))

    assert "error tags: train mixes tag schemes: the letters S, U belong to no one scheme" in mixed
    assert "error entities: train: none → train on rows with entities" in none


def test_spans_must_lie_in_their_text(write, check):
    rows = [{"text": "Ann sings", "spans": [{"start": 0, "end": 3, "label": "PER"}]}] * 2
    rows.append({"text": "Bo", "spans": [{"start": 0, "end": 9, "label": "PER"}]})

    _, out = check(*write(train=rows))

    assert "train line 3: span 0:9 PER does not lie within the text's 2 characters" in out
    assert "entities: train: PER 3" in out


def test_groups_ids_and_times(write, check):
    rng = random.Random(0)
    train = [row | {"sex": "fm"[n % 2], "author": f"a{n // 4}", "day": n} for n, row in enumerate(make_rows(400))]
    for row in train:
        row["label"] = "spam" if rng.random() < (0.7 if row["sex"] == "f" else 0.3) else "ham"
    test = [row | {"sex": "fx"[n < 3], "author": f"b{n}", "day": 400 + n} for n, row in enumerate(make_rows(100, 1))]
    test[0]["author"], test[1]["author"], test[5]["day"], test[9]["sex"] = "a3", "a4", 17, None

    flags = ["--group_columns", "sex", "--split_group_column", "author", "--time_column", "day"]
    code, out = check(*write(train=train, test=test), *flags, "--strict")

    assert code == 1
    assert "train by sex: f 200 (50.0 %), m 200 (50.0 %)" in out
    assert re.search(r"warning groups: train: 'spam' is \d\d % of f, \d\d % of m → a model may learn the group", out)
    assert (
        "fewer than 30 rows of 'x': too few for a result per group; train has no row of 'x'; 1 row without a group"
        in out
    )
    assert "error ids: 2 of 100 test rows with a value of 'author' that train has too test line 1: a3" in out
    assert "→ split by it: --split_group_column author" in out
    assert "error time: 1 of 100 test rows with a 'day' that is not after all of train test line 6: 17" in out


def test_ids_and_times_that_are_apart_are_fine(write, check):
    train = [row | {"author": f"a{n}", "day": "2020-01-01"} for n, row in enumerate(make_rows(40))]
    test = [row | {"author": f"b{n}", "day": "2020-01-02"} for n, row in enumerate(make_rows(40, 1))]

    _, out = check(*write(train=train, test=test), "--split_group_column", "author", "--time_column", "day")

    assert "ok ids: no value of 'author' stands in two splits" in out
    assert "ok time: 'day' of validation and test is after all of train" in out


def test_pairs_of_texts_are_checked_by_their_source(write, check):
    rows = [{"source": text, "target": "ein Text"} for text in make_texts(50)]
    rows[3]["target"] = None

    _, out = check(*write(train=rows, test=[rows[7]]))

    assert "error empty: no target in 1 of 50 train rows train line 4: None" in out
    assert "test line 1 = train line 8" in out


def test_pairs_inside_a_column_are_found_without_naming_the_task(write, check):
    rows = [{"translation": {"en": text, "fr": "un texte"}} for text in make_texts(50)]
    rows[3]["translation"]["en"] = rows[2]["translation"]["en"]

    _, out = check(*write(train=rows), "--source_column", "translation.en", "--target_column", "translation.fr")

    assert "train line 4 = line 3" in out


def asked(text, answer=None, start=None):
    answers = {"text": [], "answer_start": []}
    if answer:
        answers = {"text": [answer], "answer_start": [text.index(answer) if start is None else start]}
    return {"question": f"What is said {len(text)} letters long?", "context": text, "answers": answers}


def test_answers_must_stand_in_their_context(write, check):
    texts = make_texts(50)
    rows = [asked(text, text.split()[4]) for text in texts[:40]]
    clean, out = check(*write(train=rows, test=[asked(text) for text in texts[40:]]), "--strict")
    assert (clean, "ok answers: 10 of 10 test rows have no answer" in out) == (0, True)

    rows[2] = asked(texts[2], texts[2].split()[4], start=0)
    rows[5]["answers"] = "forty two"
    code, out = check(*write(train=rows, test=[rows[7]]), "--strict")

    assert code == 1
    assert "error answers: invalid answers in 2 of 40 train rows train line 3: the answer" in out
    assert "does not stand at answer_start 0" in out
    assert "train line 6: found 'forty two', expected answers in column 'answers'" in out
    assert "error ids: 1 of 1 test rows with a value of 'context' that train has too" in out
    assert "test line 1 = train line 8" in out


def test_a_column_that_one_file_lacks_spoils_and_the_rest_goes_on(write, check):
    test = [{"text": row["text"], "lable": row["label"]} for row in make_rows(40, 1)]

    code, out = check(*write(train=make_rows(40), test=test), "--strict")

    assert code == 1
    assert (
        "no column 'label' (--label_column); columns found: ['text', 'lable']; did you mean --label_column 'lable'?"
        in out
    )
    assert "ok duplicates" in out


@pytest.mark.parametrize(
    ("names", "arguments", "message"),
    [
        (["a", "b"], [], "its name does not tell whether it is train, validation or test; say so with --train_file"),
        (["train", "train-2"], [], "is train already; say what each is with --train_file"),
        (["train"], ["--task", "spam"], "--task 'spam' is not one of token-classification, classification, multilabel"),
        (["train"], ["--task", "spam"], "; leave it out to let the columns tell"),
        (["train"], ["--text_column", "txet"], "no column 'txet' (--text_column); columns found: ['text', 'label']"),
        (["train"], ["--group_columns", "sex"], "no column 'sex' (--group_columns); columns found"),
    ],
)
def test_what_cannot_be_checked_is_named(write, check, names, arguments, message):
    paths = write(**{name: make_rows(20) for name in names})

    with pytest.raises(InputError) as raised:
        check(*paths, *arguments)

    assert message in str(raised.value)


def test_without_files_or_with_an_unreadable_one_the_check_stops(check, tmp_path):
    with pytest.raises(InputError, match="no file to check; name one or more, as llmtune check train.csv test.csv"):
        check()
    with pytest.raises(InputError, match="no such file"):
        check(tmp_path / "train.csv")


def test_the_split_is_read_from_the_name_or_the_flag(write, check):
    a, b, c = write(**{"my-dev": make_rows(20), "x": make_rows(30, 1), "sms_test": make_rows(40, 2)})

    _, out = check(a, c, "--train_file", b)

    assert "train 30" in out
    assert "validation 20" in out
    assert "test 40" in out


@pytest.mark.parametrize("width", [60, 140])
def test_the_table_fits_its_width(write, capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    train = make_rows(100)

    cli.run(["check", *write(train=train, test=train[:50])])

    assert max(map(len, capsys.readouterr().out.splitlines())) <= width


@pytest.mark.skipif(not (DATA / "sms_spam").is_dir(), reason="real data are not here")
def test_sms_spam_with_copied_rows_is_spoilt_and_without_is_not(check, write):
    train, test = (
        [json.loads(line) for line in (DATA / "sms_spam" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]
        for split in ("train", "test")
    )
    rng = random.Random(0)
    rows = rng.sample([n for n, row in enumerate(train) if len(row["text"].split()) >= 8], 30)
    copies = [
        train[n] | {"text": changed(train[n]["text"], place % 2, rng, "replaced")} for place, n in enumerate(rows)
    ]

    clean, _ = check(*write(train=train, test=test), "--strict")
    code, out = check(*write(train=train, test=[*test, *copies]), "--strict", "--show", "99")

    assert (clean, code) == (0, 1)
    found = [
        f"test line {len(test) + place + 1} {'~' if place % 2 else '='} train line {n + 1}:" in out
        for place, n in enumerate(rows)
    ]
    assert sum(found) >= 29  # one replaced word may have been a mark of punctuation
