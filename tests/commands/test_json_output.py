"""--format json of every command: one document on stdout, all else on stderr, with the numbers of the files."""

import json
import sys

import pytest

from llmtune import cli
from llmtune.commands import train
from llmtune.errors import InputError
from llmtune.predictions import make_predictions, write_predictions


def table(path, wrong):
    reference = ["spam" if i % 3 == 0 else "ham" for i in range(120)]
    predicted = ["ham" if i % wrong == 0 else label for i, label in enumerate(reference)]
    rows = {"reference": reference, "prediction": predicted}
    return str(write_predictions(make_predictions("classification", rows, label_names=("ham", "spam")), path))


@pytest.fixture
def document(capsys):
    """Runs a command with --format json; what it left on stdout, read, and on stderr."""

    def run(*arguments):
        capsys.readouterr()
        cli.run([*map(str, arguments), "--format", "json"])
        printed = capsys.readouterr()
        return json.loads(printed.out), printed.err

    return run


def test_report_gives_metrics_and_verdict(document, tmp_path):
    (content,), told = document("report", table(tmp_path / "a.parquet", 9), "--output_dir", tmp_path / "out")

    assert content["metrics"] == json.loads((tmp_path / "out" / "metrics.json").read_text())["test"]
    verdict = json.loads((tmp_path / "out" / "verdict.json").read_text())
    assert (content["verdict"], content["checks"]) == (verdict["verdict"], verdict["checks"])
    assert content["sentence"].startswith("F1 of spam ")
    assert "Test: 120 rows" in told


def test_compare_gives_what_it_writes(document, tmp_path):
    a, b = table(tmp_path / "a.parquet", 3), table(tmp_path / "b.parquet", 9)

    content, told = document("compare", a, b, "--output_dir", tmp_path / "out")

    assert content == json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert "Comparison on 120 rows" in told


def test_check_gives_every_finding_with_all_its_places(document, tmp_path):
    (tmp_path / "train.csv").write_text("text,label\n" + "free cash now,spam\n" * 7 + "see you,ham\n" * 2)

    content, told = document("check", tmp_path / "train.csv")

    assert content["files"]["train"]["rows"] == 9
    assert content["files"]["train"]["columns"] == ["text", "label"]
    assert content["warnings"] == sum(finding["severity"] == "warning" for finding in content["findings"])
    assert max(len(finding["places"]) for finding in content["findings"]) > 3, "more than the terminal shows"
    assert "Findings" in told


def test_a_gate_still_decides_the_exit_code(tmp_path, capsys):
    a, b = table(tmp_path / "a.parquet", 90), table(tmp_path / "b.parquet", 3)

    assert cli.run(["compare", a, b, "--fail-if-worse", "--format", "json"]) == 1
    assert json.loads(capsys.readouterr().out)["a"] == a


def test_evaluate_and_predict_give_numbers_and_rows(document, spam_model, spam_file, tmp_path):
    scored, _ = document("evaluate", "--model", spam_model, "--test_file", spam_file, "--output_dir", tmp_path / "e")
    shown, _ = document("predict", "--model", spam_model, "--text", "win a prize now")
    written, _ = document("predict", "--model", spam_model, "--input", spam_file, "--output", tmp_path / "p.csv")

    assert scored["metrics"] == json.loads((tmp_path / "e" / "metrics.json").read_text())
    assert [row["text"] for row in shown["predictions"]] == ["win a prize now"]
    assert (written["rows"], written["output"], written["predictions"]) == (101, str(tmp_path / "p.csv"), None)


def test_merge_and_push_say_what_they_wrote(document, lora_run, spam_file, tmp_path):
    merged, _ = document("merge", lora_run, "--output_dir", tmp_path / "plain")
    out = tmp_path / "plain"
    document("evaluate", "--model", out, "--test_file", spam_file, "--output_dir", tmp_path / "e")
    document("report", tmp_path / "e")
    pushed, _ = document("push", tmp_path / "e", "--repo_id", "ada/filter", "--report_only", "--dry_run")

    assert merged["largest_logit_difference"] < 1e-3
    assert {"report.html", "metrics.json"} <= set(pushed["files"])
    assert pushed["address"] is None
    assert "texts of" in pushed["note"]


def test_a_recipe_gives_the_run_its_verdict_the_main_number_and_the_files(spam_file, tmp_path, capsys):
    from recipes.spam import main

    tiny = "hidden_size=16,num_attention_heads=2,intermediate_size=32,num_hidden_layers=1"
    flags = ["--train_file", str(spam_file), "--model_type", "bert", "--config_overrides", tiny, "--max_steps", "2"]
    capsys.readouterr()

    folder = main([*flags, "--cpu_threads", "1", "--output_dir", str(tmp_path / "run"), "--format", "json"])

    printed = capsys.readouterr()
    content = json.loads(printed.out)
    verdict = json.loads((folder / "verdict.json").read_text())
    score = json.loads((folder / "metrics.json").read_text())["test"]["f1"]
    assert (content["run"], content["rows"]) == (str(folder), score["n"])
    assert (content["verdict"], content["checks"]) == (verdict["verdict"], verdict["checks"])
    assert content["metric"] == {"name": "f1", "label": "spam", **score}
    assert content["sentence"] in " ".join(printed.err.split())
    assert {"report.html", "metrics.json", "config.yaml", "predictions/test.parquet"} <= set(content["files"])
    assert all((folder / name).is_file() for name in content["files"])


def test_a_format_that_is_none_or_stands_in_a_file_is_refused(tmp_path):
    from recipes.spam import main

    with pytest.raises(InputError, match=r"--format: invalid choice: 'yaml'.* --help lists the flags"):
        main(["--format", "yaml"])
    (tmp_path / "a.yaml").write_text("format: json")
    with pytest.raises(InputError, match="format 'json': found in a file; give --format on the command line"):
        main(["--config", str(tmp_path / "a.yaml"), "--train_file", "a.csv", "--model_type", "bert"])


def test_train_passes_the_format_on(monkeypatch):
    monkeypatch.setattr(train.runpy, "run_path", lambda path, run_name: None)
    monkeypatch.setattr(train, "_needs_launcher", lambda: False)
    monkeypatch.setattr(sys, "argv", ["llmtune"])

    cli.run(["train", "--format", "json", "spam", "--seed", "1"])

    assert sys.argv[1:] == ["--seed", "1", "--format", "json"]
