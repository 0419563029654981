"""The recipe text_regression from the command line to what a run leaves, and the commands on it."""

import contextlib
import io
import json
import random
import re
import runpy
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest

from llmtune import cli
from llmtune.data import load_splits
from llmtune.errors import InputError
from llmtune.predictions import read_predictions
from llmtune.tasks.text_classification.task import TextClassification

ROOT = Path(__file__).parent.parent
RECIPES, DEMO = ROOT / "recipes", ROOT / "recipes" / "demo" / "text_regression"
QUICK = ["--max_steps", "8", "--cpu_threads", "1", "--tokenizer_vocab_size", "300", "--max_length", "16"]
SIZES = {
    "bert": "hidden_size=32,num_attention_heads=2,intermediate_size=64,num_hidden_layers=1",
    "llama": "hidden_size=32,num_attention_heads=2,num_key_value_heads=2,intermediate_size=64,num_hidden_layers=1",
    "lstm": "hidden_size=16,embedding_size=16,attention_size=8",
}


def run_recipe(recipe: str, *flags: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [recipe, *flags])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(RECIPES / f"{recipe}.py"), run_name="__main__")
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def run(demo_run):
    return demo_run("text_regression")


@pytest.fixture(scope="module")
def rows():
    return [json.loads(line) for line in (DEMO / "test.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def stars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 reviews of one to five stars, as many as they hold good words."""
    draw, path = random.Random(0), tmp_path_factory.mktemp("data") / "stars.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(300):
            good = draw.randrange(5)
            words = [*["good"] * good, *["bad"] * (4 - good), f"n{number}", draw.choice(["tea", "bread", "soup"])]
            draw.shuffle(words)
            file.write(json.dumps({"text": " ".join(words), "stars": good + 1, "shop": number % 2}) + "\n")
    return path


def test_a_run_leaves_predictions_in_the_unit_of_the_target_beside_the_baselines(run, rows):
    table = read_predictions(run / "predictions" / "test.parquet")
    metrics = json.loads((run / "metrics.json").read_text())
    config = json.loads((run / "config.json").read_text())

    assert table.column("reference") == [row["rent"] for row in rows]
    assert 300 < np.mean(table.column("prediction")) < 1200
    assert set(metrics["test"]) == {"mse", "rmse", "mae", "pearson", "spearman", "r2"}
    assert {name for name in metrics if name.startswith("test/")} == {"test/mean", "test/TF-IDF + ridge"}
    assert metrics["test/mean"]["pearson"]["value"] is None
    assert (config["problem_type"], list(config["id2label"])) == ("regression", ["0"])
    losses = [one["loss"] for one in json.loads((run / "run.json").read_text())["training"]["losses"]]
    assert losses[-1] < losses[0]


def test_the_page_shows_the_errors_and_what_was_predicted(run):
    page = (run / "report.html").read_text(encoding="utf-8")

    for heading in ("Actual and predicted", "Residuals", "Largest errors", "length"):
        assert heading in page


def test_the_code_of_the_card_answers_as_the_predictions_do(run, rows, monkeypatch):
    table = read_predictions(run / "predictions" / "test.parquet")
    card = (run / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    texts = [row["text"] for row in rows[:20]]
    code = code.replace('["Write here a text for the model.", "And a second text."]', repr(texts))
    monkeypatch.chdir(run)

    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(code, "README.md", "exec"), {})

    printed = [float(line.split()[0]) for line in out.getvalue().strip().splitlines()]
    assert printed == pytest.approx(table.column("prediction")[:20], abs=1e-2)
    assert "pipeline_tag: text-classification" in card


def test_evaluate_predict_report_and_compare_read_a_run(run, rows, tmp_path, capsys):
    flags = [f"--test_file={DEMO / 'test.jsonl'}", "--label_column=rent", f"--output_dir={tmp_path / 'evaluated'}"]
    cli.run(["evaluate", f"--model={run}", *flags])
    again = json.loads((tmp_path / "evaluated" / "metrics.json").read_text())["test"]["mse"]["value"]
    assert again == pytest.approx(json.loads((run / "metrics.json").read_text())["test"]["mse"]["value"], rel=1e-3)

    predicted = tmp_path / "predicted.jsonl"
    cli.run(["predict", f"--model={run}", f"--input={DEMO / 'test.jsonl'}", f"--output={predicted}"])
    answers = [json.loads(line)["prediction"] for line in predicted.read_text().splitlines()]
    table = read_predictions(run / "predictions" / "test.parquet")
    assert answers == pytest.approx(table.column("prediction"), rel=1e-3)

    capsys.readouterr()
    cli.run(["compare", str(run), str(tmp_path / "evaluated"), "--format=json"])
    compared = capsys.readouterr().out
    assert "pearson" in compared
    assert "spearman" in compared
    cli.run(["push", str(run), "--repo_id=user/rents", "--dry_run"])
    assert "README.md" in capsys.readouterr().out


def test_a_table_made_elsewhere_is_judged_beside_the_mean_and_ridge_of_its_train_rows(run, tmp_path, capsys):
    table = read_predictions(run / "predictions" / "test.parquet")
    path = tmp_path / "scores.jsonl"
    columns = {name: table.column(name) for name in ("text", "reference", "prediction")}
    lines = [json.dumps(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join(lines), encoding="utf-8")
    train = [f"--train_file={DEMO / 'train.jsonl'}", "--label_column=rent"]

    cli.run(["report", str(path), "--kind=scores", *train, f"--output_dir={tmp_path / 'judged'}"])

    metrics = json.loads((tmp_path / "judged" / "metrics.json").read_text())
    own = json.loads((run / "metrics.json").read_text())
    for name in ("test", "test/mean", "test/TF-IDF + ridge"):
        assert metrics[name]["mae"]["value"] == pytest.approx(own[name]["mae"]["value"])
    assert "smape" not in metrics["test"]


def test_train_rows_without_numbers_are_named(run, tmp_path):
    (tmp_path / "train.csv").write_text("text,rent\na flat,many\n")
    table = run / "predictions" / "test.parquet"

    with pytest.raises(InputError, match="'many' is no finite number; mend it, or name the column of the numbers by"):
        cli.run(["report", str(table), f"--train_file={tmp_path / 'train.csv'}", "--label_column=rent"])


@pytest.mark.parametrize("model_type", ["llama", "lstm"])
def test_other_families_score_texts_in_the_range_that_was_asked_for(model_type, stars, tmp_path):
    model = ["--model_type", model_type, "--config_overrides", SIZES[model_type], "--learning_rate", "1e-2"]
    data = ["--train_file", str(stars), "--label_column", "stars", "--clip_predictions", "1,5", "--loss", "huber"]
    data += ["--group_columns", "shop"]

    assert run_recipe("text_regression", *data, *model, *QUICK, "--output_dir", str(tmp_path / "run")) == 0

    table = read_predictions(tmp_path / "run" / "predictions" / "test.parquet")
    assert all(1 <= number <= 5 for number in table.column("prediction"))
    assert set(table.column("shop")) == {0, 1}
    assert "min(max(" in (tmp_path / "run" / "README.md").read_text(encoding="utf-8")


def test_lora_trains_the_head_on_a_base_of_another_task(stars, demo_run, tmp_path):
    model = ["--model_name_or_path", str(demo_run("sentiment")), "--use_peft", "--lora_r", "2"]
    data = ["--train_file", str(stars), "--label_column", "stars", "--learning_rate", "1e-2"]

    assert run_recipe("text_regression", *data, *model, *QUICK[:4], "--output_dir", str(tmp_path / "run")) == 0

    predicted = tmp_path / "predicted.jsonl"
    cli.run(["predict", f"--model={tmp_path / 'run'}", f"--input={stars}", f"--output={predicted}"])
    numbers = [json.loads(line)["prediction"] for line in predicted.read_text().splitlines()]
    assert np.ptp(numbers) > 0.001  # a head that reads nothing gives one number


@pytest.fixture(scope="module")
def ordered_run(stars, tmp_path_factory):
    """Stars as classes in an order."""
    folder = tmp_path_factory.mktemp("ordered") / "run"
    model = ["--model_type", "bert", "--config_overrides", SIZES["bert"], "--learning_rate", "1e-2"]
    data = ["--train_file", str(stars), "--label_column", "stars", "--ordinal", "--loss", "cumulative"]
    assert run_recipe("sentiment", *data, *model, *QUICK, "--output_dir", str(folder)) == 0
    return folder


def test_stars_as_classes_in_an_order_are_judged_by_weighted_kappa(ordered_run):
    metrics = json.loads((ordered_run / "metrics.json").read_text())
    training = json.loads((ordered_run / "run.json").read_text())["training"]

    assert {"qwk", "mae_steps", "within_one_step"} <= set(metrics["test"]) & set(metrics["test/majority"])
    assert "decision:median" in metrics["test"]["qwk"]["signature"]
    assert training["best_checkpoint"]["metric"] == "qwk"


def test_the_order_is_said_where_the_rows_are(stars):
    train = [json.loads(line) for line in stars.read_text(encoding="utf-8").splitlines()]
    rows = datasets.Dataset.from_list([{"text": row["text"], "label": str(row["stars"])} for row in train])
    splits = load_splits(
        rows, columns={"text": "text", "label": "label"}, label_column="label", text_columns=["text"], seed=1
    )
    task = TextClassification(splits.label_names, "5", max_length=16, ordinal=True)

    lines = task.summary(splits, {})

    assert lines[-1] == "order of the classes: 1 < 2 < 3 < 4 < 5; --label_names lists another"


def test_the_card_of_an_order_answers_by_the_median_as_the_predictions_do(ordered_run, monkeypatch):
    table = read_predictions(ordered_run / "predictions" / "test.parquet")
    code = re.search(r"```python\n(.*?)```", (ordered_run / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    texts = table.column("text")[:20]
    code = code.replace('["Write here a text for the model.", "And a second text."]', repr(texts))
    monkeypatch.chdir(ordered_run)

    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(code, "README.md", "exec"), {})

    assert [line.split()[0] for line in out.getvalue().strip().splitlines()] == table.column("prediction")[:20]


def test_check_reads_numbers_and_says_what_is_odd_in_them(tmp_path, capsys):
    draw = random.Random(0)
    lines = [json.dumps({"text": f"words {n} {draw.random()}", "label": draw.random()}) for n in range(80)]
    odd = [{"text": "the same", "label": 0.1}, {"text": "The same!", "label": 0.9}, {"text": "far", "label": 80.0}]
    odd.append({"text": "none", "label": None})
    (tmp_path / "train.jsonl").write_text("\n".join([*lines, *map(json.dumps, odd)]))
    shifted = [json.dumps({"text": f"other {n} {draw.random()}", "label": 20 + draw.random()}) for n in range(80)]
    (tmp_path / "test.jsonl").write_text("\n".join(shifted))

    cli.run(["check", str(tmp_path / "train.jsonl"), str(tmp_path / "test.jsonl"), "--format=json"])

    findings = {one["sentence"]: one for one in json.loads(capsys.readouterr().out)["findings"]}
    told = "\n".join(findings)
    assert "no number in 1 of 84 train rows" in told
    assert "equal texts, different numbers: 2 of 84 train rows, up to 0.8 apart" in told
    assert re.search(r"outliers, beyond \S+ to \S+: 1 of 84 train rows", told)
    assert re.search(r"the mean of test is 20\.\d+, that of train 1\.\d+", told)
    assert not any(one["check"] in ("labels", "classes", "conflicting labels") for one in findings.values())


def test_check_takes_whole_numbers_as_scores_where_the_task_says_so(stars, capsys):
    cli.run(["check", str(stars), "--label_column=stars", "--task=regression", "--format=json"])
    of_numbers = {one["check"] for one in json.loads(capsys.readouterr().out)["findings"]}
    cli.run(["check", str(stars), "--label_column=stars", "--format=json"])
    of_classes = {one["check"] for one in json.loads(capsys.readouterr().out)["findings"]}

    assert "numbers" in of_numbers - of_classes
    assert "classes" in of_classes - of_numbers


def test_the_script_writes_the_shipped_rows_byte_for_byte(tmp_path):
    script = ROOT / "scripts" / "make_text_regression_demo_data.py"
    subprocess.run([sys.executable, script, "--output_dir", tmp_path], check=True)

    for split in ("train", "validation", "test"):
        made = (tmp_path / "text_regression" / f"{split}.jsonl").read_bytes()
        assert made == (DEMO / f"{split}.jsonl").read_bytes()
