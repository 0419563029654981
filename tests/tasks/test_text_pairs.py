"""Two texts a row, of every task that answers texts: encoded, looked up for copies, vectorized, refused."""

import json
from dataclasses import replace

import datasets
import pytest
import transformers

from llmtune import cli
from llmtune.arguments import DataArguments
from llmtune.baselines import tfidf_logistic_regression
from llmtune.data.columns import pick_columns
from llmtune.data.rows import Rows
from llmtune.diagnosis.leakage import leakage
from llmtune.errors import InputError
from llmtune.models.from_scratch import train_tokenizer
from llmtune.predictions import make_predictions
from llmtune.report.judgement import Judgement, JudgementOptions
from llmtune.tasks.text_classification.task import TextClassification
from llmtune.text.text_pairs import join_pairs

TASK = TextClassification(("no", "yes"), "yes", max_length=16, pair_prefix="")
TEXTS = ["a man sleeps", "who is it that stands at the door of my old house at night", "ok [SEP] then", "rain"]
PAIRS = ["he is awake", "who?", "is it", "it rains in the morning and it rains in the evening and in the night as well"]


@pytest.fixture(scope="module")
def rows():
    return datasets.Dataset.from_dict({"text": TEXTS, "text_pair": PAIRS, "label": ["yes", "no", "yes", "no"]})


@pytest.mark.parametrize(
    ("model_type", "typed"), [("bert", True), ("roberta", False), ("modernbert", False), ("distilbert", False)]
)
def test_an_encoder_reads_pairs_as_its_own_tokenizer_sets_them_and_the_longer_text_is_cut(model_type, typed, rows):
    tokenizer = train_tokenizer(model_type, TEXTS + PAIRS, 300, 64)

    encoded = TASK.encode(rows, tokenizer)

    expected = tokenizer(
        TEXTS, PAIRS, truncation="longest_first", max_length=16, split_special_tokens=True, return_token_type_ids=typed
    )
    assert encoded.dataset["input_ids"] == expected["input_ids"]
    assert ("token_type_ids" in encoded.dataset.column_names) == typed
    if typed:
        assert encoded.dataset["token_type_ids"] == expected["token_type_ids"]
        assert {0, 1} == set(encoded.dataset["token_type_ids"][0])
    whole = [len(ids) for ids in tokenizer(TEXTS, PAIRS, split_special_tokens=True)["input_ids"]]
    assert encoded.facts["truncated"] == sum(length > 16 for length in whole) >= 2


@pytest.mark.parametrize("model_type", ["llama", "gpt2"])
def test_a_decoder_reads_a_line_break_between_the_texts_however_long_the_first_is(model_type, rows):
    tokenizer = train_tokenizer(model_type, [*TEXTS, *PAIRS, "\n"], 300, 64)

    encoded = replace(TASK, pair_prefix="\n", max_length=24).encode(rows, tokenizer)

    decoded = [tokenizer.decode(ids, skip_special_tokens=True) for ids in encoded.dataset["input_ids"]]
    assert all(text.count("\n") == 1 for text in decoded)
    assert decoded[0].split() == [*TEXTS[0].split(), *PAIRS[0].split()]


def test_a_pair_that_stands_in_train_is_a_copy_and_a_half_of_one_is_told():
    train = datasets.Dataset.from_dict(
        {
            "text": [f"premise number {i} about a man and his dog" for i in range(60)],
            "text_pair": [f"guess {i} that somebody made of it" for i in range(60)],
            "label": ["yes", "no"] * 30,
        }
    )
    test = datasets.Dataset.from_dict(
        {
            "text": [*train["text"][:2], *train["text"][10:20], *(f"news of day {i}: rain" for i in range(28))],
            "text_pair": [*train["text_pair"][:2], *(f"fully other words {i} stand here" for i in range(38))],
            "label": ["yes", "no"] * 20,
        }
    )

    examples = [TASK.leakage_examples(split, DataArguments()) for split in (train, test)]
    check = leakage(examples[0], {"test": examples[1]})

    assert check.numbers["copies"]["test/train"]["equal"] == 2
    assert check.numbers["shared_halves"] == {"text": 10, "text_pair": 0}
    assert check.finding.endswith("; of the other test rows the text of 10 stands in train beside another text")


def test_the_baseline_tells_the_halves_of_a_pair_apart():
    texts, pairs = ["red", "blue"] * 20, ["blue", "red"] * 20
    labels = ["yes", "no"] * 20
    table = make_predictions("classification", {"reference": labels, "prediction": labels}, label_names=("no", "yes"))

    found = tfidf_logistic_regression(join_pairs(texts, pairs), labels, join_pairs(texts, pairs), table)

    assert found.column("prediction") == labels


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A tiny BERT of pairs and one of single texts, as runs leave them, and one made elsewhere."""
    folder = tmp_path_factory.mktemp("models")
    tokenizer = train_tokenizer("bert", TEXTS + PAIRS, 300, 64)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    transformers.set_seed(0)
    for name, task in (("pairs", TASK), ("texts", replace(TASK, pair_prefix=None)), ("foreign", None)):
        config = transformers.BertConfig(vocab_size=len(tokenizer), **sizes, **TASK.head_config())
        if task is not None:
            config.llmtune = task.to_config()
        transformers.BertForSequenceClassification(config).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return folder


@pytest.fixture(scope="module")
def rows_file(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "nli.jsonl"
    names = {"text": "premise", "text_pair": "hypothesis"}
    path.write_text("\n".join(json.dumps({names.get(k, k): v for k, v in row.items()}) for row in rows))
    return path


def test_predict_without_the_second_text_says_which_column_is_missing(models, rows_file):
    with pytest.raises(InputError, match=r"no column 'text_pair' \(--text_pair_column\); columns found: "):
        cli.run(["predict", f"--model={models / 'pairs'}", f"--input={rows_file}", "--text_column=premise"])
    with pytest.raises(
        InputError,
        match="--text: this model reads text and text_pair; give the second of each with",
    ):
        cli.run(["predict", f"--model={models / 'pairs'}", "--text", "a man sleeps"])


def test_a_model_of_single_texts_refuses_a_second_column(models, rows_file):
    flags = [f"--input={rows_file}", "--text_column=premise", "--text_pair_column=hypothesis"]

    with pytest.raises(
        InputError,
        match="--text_pair_column hypothesis: this text-classification model was trained on one text a row; leave",
    ):
        cli.run(["predict", f"--model={models / 'texts'}", *flags])


def test_a_model_of_pairs_that_was_made_elsewhere_is_scored_on_pairs(models, rows_file, tmp_path, capsys):
    columns = ["--text_column=premise", "--text_pair_column=hypothesis"]

    cli.run(
        [
            *("evaluate", f"--model={models / 'foreign'}", f"--test_file={rows_file}", *columns),
            *(f"--output_dir={tmp_path / 'scored'}", "--format=json"),
        ]
    )
    cli.run(["predict", f"--model={models / 'foreign'}", f"--input={rows_file}", *columns])

    printed = capsys.readouterr().out.splitlines()
    predicted = [json.loads(line) for line in printed if line.startswith('{"id"') and "prediction" in line]
    pipe = transformers.pipeline("text-classification", model=str(models / "foreign"), top_k=None)
    for row, text, pair in zip(predicted, TEXTS, PAIRS, strict=True):
        assert row["premise"] == text
        if "[SEP]" in text:
            continue  # the pipeline reads a user's letters as control tokens
        told = {answer["label"]: answer["score"] for answer in pipe({"text": text, "text_pair": pair})}
        assert row["probability[yes]"] == pytest.approx(told["yes"], abs=1e-5)


def test_check_tells_texts_of_pairs_that_stand_in_two_splits(rows, tmp_path, capsys):
    for name, pairs in (("train", PAIRS), ("test", [*PAIRS[1:], "new"])):
        cells = {"premise": TEXTS, "hypothesis": pairs, "label": rows["label"]}
        datasets.Dataset.from_dict(cells).to_json(tmp_path / f"{name}.jsonl")
    columns = ["--text_column=premise", "--text_pair_column=hypothesis"]

    cli.run(["check", str(tmp_path / "train.jsonl"), str(tmp_path / "test.jsonl"), *columns, "--format=json"])

    findings = json.loads(capsys.readouterr().out)["findings"]
    told = [finding["sentence"] for finding in findings if finding["check"] == "pairs"]
    assert told == [
        "4 of 4 test rows with a 'premise' that train has too",
        "3 of 4 test rows with a 'hypothesis' that train has too",
    ]
    assert not [f for f in findings if f["check"] == "duplicates" and f["severity"] == "error"], (
        "no whole pair is there"
    )


def test_check_tells_control_characters_of_a_pair_and_not_what_joins_the_two(tmp_path, capsys):
    path = tmp_path / "train.jsonl"
    rows = [{"text": text, "text_pair": pair, "label": "yes"} for text, pair in zip(TEXTS, PAIRS, strict=True)]
    path.write_text("\n".join(map(json.dumps, [*rows, {"text": "a", "text_pair": "b\x1fc", "label": "no"}])))

    cli.run(["check", str(path), "--text_pair_column=text_pair"])

    assert "control characters in 1 of 5 train rows" in " ".join(capsys.readouterr().out.split())


def test_one_column_is_no_pair_and_the_first_text_is_not_offered_as_the_second():
    with pytest.raises(InputError, match="--text_pair_column text: is the column of the first text too, expected"):
        pick_columns(Rows("f", {"text": ["a"]}), columns={"text": "text", "text_pair": "text"}, data=DataArguments())
    with pytest.raises(InputError, match="no column 'texts'.*; name one of them with --text_pair_column"):
        pick_columns(Rows("f", {"text": ["a"]}), columns={"text": "text", "text_pair": "texts"}, data=DataArguments())


def test_a_report_looks_the_pairs_of_a_table_up_in_the_rows_of_train():
    count = 40
    texts, pairs = [f"a man number {i}" for i in range(count)], [f"he is awake {i}" for i in range(count)]
    labels = ["no", "yes"] * (count // 2)
    columns = {"reference": labels, "prediction": labels}
    carried = {"text": texts, "text_pair": pairs}
    table = make_predictions("classification", columns, carried=carried, label_names=("no", "yes"))
    train = datasets.Dataset.from_dict({"premise": texts, "hypothesis": pairs[::-1], "label": labels})
    options = JudgementOptions(train=train, text_column="premise", text_pair_column="hypothesis")

    judged = Judgement(table, options)

    leaks = next(check for check in judged.verdict.checks if check.check == "leakage")
    assert leaks.numbers["copies"]["test/train"]["equal"] == 0
    assert leaks.numbers["shared_halves"] == {"text": count, "text_pair": count}
    assert "TF-IDF + logistic regression" in judged.baselines
    with pytest.raises(InputError, match=r"no column 'text_pair'; found .*name the second text by --text_pair_column"):
        _ = Judgement(table, JudgementOptions(train=train, text_column="premise")).training_rows
