"""The verdict of tables made anywhere, through the command."""

import json
import random

import pytest

from llmtune import cli
from llmtune.errors import InputError


@pytest.fixture
def messages(tmp_path):
    """Train rows, and a csv of predictions that finds little of the spam, with a group and three rows of train."""
    draw = random.Random(0)
    words = {"spam": ["win", "free", "cash", "prize", "claim"], "ham": ["see", "you", "at", "lunch", "home"]}

    def text(label):
        return " ".join(draw.choices(words[label] + ["the", "now"], k=8))

    train = [(text(label), label) for label in ["ham"] * 300 + ["spam"] * 100]
    with (tmp_path / "train.csv").open("w") as file:
        file.writelines(["text,label\n", *(f"{one},{label}\n" for one, label in train)])
    with (tmp_path / "out.csv").open("w") as file:
        file.write("reference,prediction,group,text\n")
        for row in range(400):
            label = "spam" if row % 4 == 0 else "ham"
            said = "spam" if label == "spam" and row % 40 == 0 else "ham"
            file.write(f"{label},{said},{'ab'[row % 8 // 4]},{text(label)} {row}\n")
    return tmp_path


def report(folder, *flags):
    cli.run(["report", str(folder / "out.csv"), "--kind", "classification", "--output_dir", str(folder / "r"), *flags])
    content = json.loads((folder / "r" / "verdict.json").read_text())
    return content["verdict"], {check["check"]: check for check in content["checks"]}


def test_a_foreign_table_gets_the_checks_that_it_allows(messages, capsys):
    verdict, checks = report(messages)

    assert verdict == "not_ready"
    assert checks["accuracy_paradox"]["status"] == "fail"
    assert checks["leakage"] == {
        "check": "leakage",
        "status": "not_applicable",
        "finding": "the rows of train are not here: --train_file names them",
        "numbers": {},
        "remedy": "",
    }
    assert "Not ready: Recall of 'spam' is 10 % (10 of 100)" in " ".join(capsys.readouterr().out.split())


def test_train_file_gives_leakage_and_baselines_and_columns_give_fairness(messages):
    flags = ["--train_file", str(messages / "train.csv"), "--group_columns", "group", "--targets", "recall[spam]>=0.8"]

    _, checks = report(messages, *flags)

    assert checks["leakage"]["status"] != "not_applicable"
    assert checks["baseline"]["status"] == "fail"
    assert set(checks["baseline"]["numbers"]) == {"majority", "TF-IDF + logistic regression"}
    assert checks["fairness"]["numbers"]["summary"]["group"]
    assert checks["targets"]["numbers"]["targets"][0]["target"] == "recall[spam]>=0.8"


def test_an_earlier_table_is_the_base(messages):
    right = (messages / "out.csv").read_text().replace("spam,ham,", "spam,spam,")
    (messages / "before.csv").write_text(right)

    _, checks = report(messages, "--base", str(messages / "before.csv"))

    assert checks["worse_than_base"]["status"] == "fail"
    finding = checks["worse_than_base"]["finding"]
    assert finding.startswith(
        "Significantly worse than the base: f1 of spam 0.182, base 1.000 (difference -0.818, 99 % CI [-0.9"
    )


REFUSED = [
    (["--targets", "recall[spma]>=1"], r"there is no 'recall\[spma\]' here"),
    (["--group_columns", "race"], "'race': the predictions have the columns"),
    (
        ["--train_file", "TRAIN", "--text_column", "body"],
        "no column 'body'; found text, label; name it by --text_column",
    ),
    (["--train_file", "TRAIN", "--label_column", "kind"], "no column 'kind'; found text, label; name the class by"),
    (["--train_file", "HAM"], "it has ham; give the rows that the model was trained on"),
]


@pytest.mark.parametrize(("flags", "message"), REFUSED)
def test_what_does_not_fit_is_named(flags, message, messages):
    (messages / "ham.csv").write_text("text,label\nsee you,ham\n")
    paths = {"TRAIN": str(messages / "train.csv"), "HAM": str(messages / "ham.csv")}

    with pytest.raises(InputError, match=message):
        report(messages, *(paths.get(flag, flag) for flag in flags))


SIMPLE = {
    "text-generation": ({"source": ["a b c d"], "reference": ["w x y z"], "prediction": ["w x y z"]}, "copy-source"),
    "question-answering": (
        {"question": ["who?"], "context": ["It was Ann. So be it."], "reference": ["Ann"], "prediction": ["Ann"]},
        "best-overlap sentence",
    ),
    "regression": ({"time": [1], "reference": [1.0], "prediction": [1.0]}, "persistence"),
}


@pytest.mark.parametrize("kind", SIMPLE)
def test_simple_models_are_made_of_the_table_and_stand_beside_it_everywhere(kind, tmp_path, capsys):
    row, name = SIMPLE[kind]
    rows = [{key: value + i if kind == "regression" else value for key, (value,) in row.items()} for i in range(40)]
    (tmp_path / "out.jsonl").write_text("\n".join(map(json.dumps, rows)))

    cli.run(["report", str(tmp_path / "out.jsonl"), "--kind", kind, "--output_dir", str(tmp_path / "r")])

    metrics = json.loads((tmp_path / "r" / "metrics.json").read_text())
    assert set(metrics) >= {"test", f"test/{name}"}
    assert set(metrics["test"]) == set(metrics[f"test/{name}"])
    assert metrics["test"] != metrics[f"test/{name}"]
    assert name in capsys.readouterr().out
    assert f">{name}<" in (tmp_path / "r" / "report.html").read_text()
    checks = {check["check"]: check for check in json.loads((tmp_path / "r" / "verdict.json").read_text())["checks"]}
    assert checks["baseline"]["status"] == "pass"
    assert name in checks["baseline"]["numbers"]


def test_names_known_from_train_stand_beside_a_tagger(tmp_path):
    names = [f"Name{row}" for row in range(60)]
    train = [{"tokens": ["Say", name, "!"], "tags": ["O", "I-PER", "O"]} for name in names[:30]]  # IOB1
    test = [
        {"tokens": ["Ask", name], "reference": ["O", "B-PER"], "prediction": ["O", "B-PER" if row % 10 else "O"]}
        for row, name in enumerate(names)
    ]
    for file, rows in (("train", train), ("out", test)):
        (tmp_path / f"{file}.jsonl").write_text("\n".join(map(json.dumps, rows)))

    files = [str(tmp_path / "out.jsonl"), "--train_file", str(tmp_path / "train.jsonl")]
    cli.run(["report", *files, "--kind", "token-classification", "--output_dir", str(tmp_path / "r")])

    metrics = json.loads((tmp_path / "r" / "metrics.json").read_text())
    assert metrics["test/names known from train"]["entity_recall"]["value"] == pytest.approx(0.5)
    assert metrics["test"]["entity_recall"]["value"] == pytest.approx(0.9)
    checks = {one["check"]: one for one in json.loads((tmp_path / "r" / "verdict.json").read_text())["checks"]}
    assert checks["baseline"]["status"] == "pass"

    (tmp_path / "train.jsonl").write_text('{"tokens": ["Say"], "tags": ["PERSON"]}')
    with pytest.raises(
        InputError,
        match=r"\['PERSON'\] is no list of tags; give one tag a word, as B-PER, I-PER, O, or name the column by",
    ):
        cli.run(["report", *files, "--kind", "token-classification"])
