"""The recipes as a person runs them: from the command line to the files that a run leaves."""

import csv
import json
import os
import random
import re
import runpy
import subprocess
import sys
from html import escape
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from llmtune import cli
from llmtune.predictions import read_predictions

RECIPES = Path(__file__).parent.parent / "recipes"
# Not `accelerate launch --cpu --num_processes 2`: accelerate 1.15 then starts one process, without a word.
ON_TWO = [str(Path(sys.executable).with_name("accelerate")), "launch", "--multi_gpu", "--num_processes", "2"]
ON_TWO += ["--main_process_port", "0"]
TINY = ["--config_overrides", "hidden_size=32,num_attention_heads=2,intermediate_size=64,num_hidden_layers=1"]
QUICK = [*TINY, "--learning_rate", "5e-3", "--cpu_threads", "1", "--num_train_epochs", "1"]


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """180 messages, a third of them spam, told apart by their words."""
    draw = random.Random(0)
    words = {"spam": ["win", "free", "cash", "prize"], "ham": ["see", "you", "at", "lunch"]}
    path = tmp_path_factory.mktemp("data") / "messages.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["message", "kind"])
        for number in range(180):
            label = "spam" if number % 3 == 0 else "ham"
            rows.writerow([" ".join(draw.choices(words[label], k=draw.randint(2, 9))) + f" {number}", label])
    return path


def data_flags(messages: Path) -> list[str]:
    return ["--train_file", str(messages), "--text_column", "message", "--label_column", "kind"]


def in_subprocess(launcher: list[str], *flags: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [*launcher, str(RECIPES / "spam.py"), *flags]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def in_process(monkeypatch: pytest.MonkeyPatch, *flags: str) -> int:
    """Runs the recipe here and returns its exit code: a further interpreter takes five seconds to import torch."""
    monkeypatch.setattr(sys, "argv", ["spam.py", *flags])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(RECIPES / "spam.py"), run_name="__main__")
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def bert_run(messages, tmp_path_factory) -> tuple[Path, str]:
    """A BERT from scratch, trained by plain python; its folder, and what it printed."""
    folder = tmp_path_factory.mktemp("work")
    flags = [*data_flags(messages), "--model_type", "bert", *QUICK, "--report_to", "tensorboard", "--output_dir", "run"]
    flags += ["--logging_steps", "4"]
    done = in_subprocess([sys.executable], *flags, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    return folder / "run", done.stdout


def test_a_run_tells_each_stage_once(bert_run):
    _, printed = bert_run

    for title in ("\nData\n", "\nModel\n", "\nTraining\n", "\nTest: 18 rows\n", "\nReport: run/report.html"):
        assert printed.count(title) == 1, title
    assert "epoch 1.00" in printed
    assert "majority" in printed


def test_without_a_terminal_no_two_lines_are_more_than_logging_steps_apart(bert_run):
    _, printed = bert_run

    lines = re.findall(
        r"^step (\d+) of 18  loss [\d.]+  learning rate [\d.e-]+  [\d,]+ tokens/s  \d\d:\d\d left$",
        printed,
        re.MULTILINE,
    )
    steps = [0, *map(int, lines), 18]
    assert steps == [0, 4, 8, 12, 16, 18]
    assert printed.startswith("\nData\n"), "no other library speaks first"


def test_a_run_ends_in_under_25_lines_with_number_verdict_page_and_next_command(bert_run):
    _, printed = bert_run

    end = printed[printed.index("\nTraining\n") :]
    assert len(end.splitlines()) < 25
    assert re.search(r"^f1 of spam +0\.\d", end, re.MULTILINE)
    assert re.search(r"^F1 of spam .* on 18 rows\. ", end, re.MULTILINE)
    assert "Report: run/report.html" in end
    command = "llmtune predict --model run --input FILE --text_column message --output predicted.csv"
    assert end.splitlines()[-1].strip() == command


def test_the_reader_of_a_pipe_may_leave_and_nothing_is_lost(bert_run, messages):
    folder = bert_run[0].parent
    recipe = " ".join([sys.executable, str(RECIPES / "spam.py"), *data_flags(messages), "--model_type bert", *QUICK])

    done = subprocess.run(
        ["bash", "-c", f"{recipe} --output_dir piped --logging_steps 1 | head -1; exit ${{PIPESTATUS[0]}}"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr
    written = {path.name for path in (folder / "piped").iterdir()}
    assert {"metrics.json", "verdict.json", "report.html", "README.md", "model.safetensors"} <= written
    assert done.stderr == ""


def test_a_checkpoint_is_loaded_without_a_word_of_other_libraries(bert_run, messages, monkeypatch, capfd):
    flags = [*data_flags(messages), "--model_name_or_path", str(bert_run[0]), "--max_steps", "1", "--verbose"]

    code = in_process(monkeypatch, *flags, "--output_dir", str(bert_run[0].parent / "again"))

    printed = capfd.readouterr()
    assert code == 0
    assert printed.err == ""
    assert printed.out.startswith("\nData\n")
    for title in ("reference ↓  predicted →", "\nNotes\n", "brier"):
        assert title in printed.out, "what --verbose adds"


def test_the_weights_load_with_plain_transformers_and_know_labels_and_settings(bert_run):
    folder, _ = bert_run

    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    assert model.config.id2label == {0: "ham", 1: "spam"}
    assert model.config.llmtune == {
        "task": "text-classification",
        "max_length": 256,
        "positive_label": "spam",
        "threshold": 0.5,
    }
    table = read_predictions(folder / "predictions" / "test.parquet")
    with torch.no_grad():
        for text, expected in zip(table.column("text"), table.probabilities(), strict=True):
            logits = model(**tokenizer(text, return_tensors="pt", return_token_type_ids=False)).logits
            np.testing.assert_allclose(logits.softmax(-1)[0], expected, atol=1e-5)


def test_a_run_leaves_predictions_metrics_and_its_story(bert_run, messages):
    folder, _ = bert_run

    metrics = json.loads((folder / "metrics.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    run = json.loads((folder / "run.json").read_text(), parse_constant=lambda name: pytest.fail(name))

    assert set(metrics) == {"validation", "test", "test/majority", "test/TF-IDF + logistic regression"}
    assert set(metrics["test"]["f1"]) == {"value", "low", "high", "n", "signature"}
    for split in ("validation", "test"):
        table = read_predictions(folder / "predictions" / f"{split}.parquet")
        right = np.mean([r == p for r, p in zip(table.column("reference"), table.column("prediction"), strict=True)])
        assert metrics[split]["accuracy"]["value"] == pytest.approx(right)
        assert {"id", "text", "length"} <= set(table.table.column_names)
    assert run["arguments"]["data"]["train_file"] == str(messages)
    assert run["arguments"]["training"]["learning_rate"] == 5e-3
    assert run["data"]["train"]["rows"] == 144
    assert len(run["data"]["test"]["sha256"]) == 64
    assert run["training"]["steps"] == 18
    assert 0 < run["training"]["real_tokens"] == run["training"]["padded_tokens"]
    assert run["training"]["tokens_per_second"] > 0
    assert run["training"]["evaluations"][0]["confusion_matrix"]
    without_build = [version.partition("+")[0] for version in (run["versions"]["torch"], torch.__version__)]
    assert without_build[0] == without_build[1]  # a wheel may leave +cpu, +cu130 out of its metadata
    assert run["peak_memory_mib"] > 100
    assert "hub_token" not in run["arguments"]["training"]
    assert not list(folder.glob("*.bin")), "a pickle"
    assert not list(folder.rglob("*.partial"))


def test_a_run_ends_with_a_page_and_a_card_of_the_same_numbers(bert_run):
    folder, _ = bert_run
    score = json.loads((folder / "metrics.json").read_text())["test"]["accuracy"]

    page = (folder / "report.html").read_text(encoding="utf-8")
    card = (folder / "README.md").read_text(encoding="utf-8")

    assert f'data-metric="accuracy">{score["value"]:.3f} [{score["low"]:.3f}, {score["high"]:.3f}]<' in page
    assert {"majority", "TF-IDF + logistic regression"} <= set(re.findall(r'<th scope="col">([^<]+)</th>', page))
    assert f"value: {score['value']}" in card
    assert str(folder.parent) not in page + card


def test_the_config_of_a_run_trains_the_same_again_and_auto_goes_on_where_it_was(
    bert_run, tmp_path, monkeypatch, capsys
):
    folder, again = bert_run[0], tmp_path / "again"
    assert in_process(monkeypatch, "--config", str(folder / "config.yaml"), "--output_dir", str(again)) == 0
    first, second = (json.loads((run / "metrics.json").read_text()) for run in (folder, again))
    assert second == first
    assert "learning_rate `0.005`" in (again / "README.md").read_text()

    flags = ["--config", str(again / "config.yaml"), "--output_dir", str(again), "--resume_from_checkpoint", "auto"]
    assert in_process(monkeypatch, *flags) == 0
    assert "--resume_from_checkpoint auto: going on from " in capsys.readouterr().err
    assert json.loads((again / "metrics.json").read_text()) == first


def test_two_processes_print_one_report_and_train_and_predict_alike(bert_run, messages):
    one, _ = bert_run
    # SGD: Adam turns the last digit of a gradient near 0 into a whole step.
    flags = ["--model_type", "bert", *QUICK, "--precision", "fp32", "--optim", "sgd", "--learning_rate", "0.3"]
    flags.append("--per_device_train_batch_size")
    no_dropout = [
        flag.replace("hidden_size", "hidden_dropout_prob=0,attention_probs_dropout_prob=0,hidden_size")
        for flag in flags
    ]
    folder = one.parent

    on_two = in_subprocess(
        ON_TWO, *data_flags(messages), *no_dropout, "4", "--output_dir", "two", "--format", "json", cwd=folder
    )
    on_one = in_subprocess([sys.executable], *data_flags(messages), *no_dropout, "8", "--output_dir", "one", cwd=folder)

    assert on_two.returncode == on_one.returncode == 0, on_two.stderr[-3000:]
    assert on_two.stderr.count("Test: 18 rows") == on_two.stderr.count("epoch 1.00") == 1
    assert json.loads(on_two.stdout)["run"] == "two"  # one document, of the first process
    tables = [read_predictions(folder / name / "predictions" / "test.parquet") for name in ("one", "two")]
    assert tables[0].column("id") == tables[1].column("id")
    assert tables[0].column("text") == tables[1].column("text")
    np.testing.assert_allclose(tables[1].probabilities(), tables[0].probabilities(), atol=1e-5)
    assert json.loads((folder / "two" / "run.json").read_text())["training"]["processes"] == 2
    # By the first process alone, outside its group.
    checks = {check["check"]: check for check in json.loads(on_two.stdout)["checks"]}
    assert checks["saved_model"]["status"] == "pass", checks["saved_model"]["finding"]


def test_arguments_alone_train_a_llama_with_lora(messages, tmp_path, monkeypatch, capsys):
    flags = ["--model_type", "llama", *QUICK, "--use_peft", "--lora_r", "4", "--output_dir", str(tmp_path / "run")]

    code = in_process(monkeypatch, *data_flags(messages), *flags)

    assert code == 0
    assert "LoRA r 4" in capsys.readouterr().out
    assert (tmp_path / "run" / "adapter_model.safetensors").exists()
    assert (tmp_path / "run" / "base_model" / "model.safetensors").exists()
    assert read_predictions(tmp_path / "run" / "predictions" / "test.parquet").label_names == ("ham", "spam")


def test_training_stops_early_when_validation_no_longer_improves_and_says_so(messages, tmp_path, monkeypatch, capsys):
    flags = ["--model_type", "bert", *QUICK, "--learning_rate", "0", "--num_train_epochs", "9"]
    flags += ["--early_stopping_patience", "2", "--max_train_samples", "40", "--output_dir", str(tmp_path / "run")]

    code = in_process(monkeypatch, *data_flags(messages), *flags)

    training = json.loads((tmp_path / "run" / "run.json").read_text())["training"]
    assert code == 0
    assert training["epochs"] == 3  # the first counts as the best; two more are no better
    assert training["steps"] == 15
    assert training["stopped_early"]
    assert "stopped early at step 15 of 45: f1 of spam on validation was no better than " in capsys.readouterr().out


def test_a_second_column_of_texts_is_noted(tmp_path, monkeypatch, capsys):
    pairs = [f"a man sleeps {i},he is awake {i},{'no' if i % 2 else 'yes'}" for i in range(60)]
    (tmp_path / "pairs.csv").write_text("\n".join(["premise,hypothesis,label", *pairs]))
    flags = ["--train_file", str(tmp_path / "pairs.csv"), "--text_column", "premise", "--model_type", "bert", *QUICK]

    in_process(monkeypatch, *flags, "--max_steps", "1", "--output_dir", str(tmp_path / "run"))

    printed = " ".join(capsys.readouterr().out.split())
    assert "column 'hypothesis' holds texts too, and is not read: the answer is told without it" in printed


def test_ids_are_reported_by_the_names_that_the_flag_gives(tmp_path, monkeypatch):
    rows = ["text,label", *(f"{'free cash' if i % 3 else 'see you'} {i},{int(i % 3 > 0)}" for i in range(90))]
    (tmp_path / "rows.csv").write_text("\n".join(rows))
    names = ["--label_names", "0=ham,1=spam"]
    flags = ["--train_file", str(tmp_path / "rows.csv"), "--model_type", "bert", *QUICK, *names]

    code = in_process(monkeypatch, *flags, "--output_dir", str(tmp_path / "run"))
    evaluate = ["evaluate", "--model", str(tmp_path / "run"), "--test_file", str(tmp_path / "rows.csv")]
    cli.run([*evaluate, *names, "--output_dir", str(tmp_path / "again")])

    assert code == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["id2label"] == {"0": "ham", "1": "spam"}
    assert "f1[spam]" in json.loads((tmp_path / "again" / "metrics.json").read_text())["test"]


def test_three_classes_are_judged_by_macro_f1_without_a_threshold(tmp_path, monkeypatch, capsys):
    rows = ["text,label", *(f"{'abc'[i % 3]} {'abc'[i % 3]} {i},{['bad', 'fair', 'good'][i % 3]}" for i in range(90))]
    (tmp_path / "rows.csv").write_text("\n".join(rows))
    flags = ["--train_file", str(tmp_path / "rows.csv"), "--model_type", "bert", *QUICK]

    code = in_process(monkeypatch, *flags, "--output_dir", str(tmp_path / "run"))

    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert code == 0
    assert run["training"]["best_checkpoint"]["metric"] == "f1_macro"
    assert run["threshold"] is None
    assert "F1 on test at 0.5" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--label_column", "spam"], r"no column 'spam'"),
        (["--positive_label", "eggs"], "--positive_label 'eggs' is not one of the labels ham, spam"),
        (["--threshold_objective", "f3"], "--threshold_objective 'f3': expected f1, fbeta:2"),
        (["--class_weights", "1,2,3"], "--class_weights '1,2,3': expected 2 numbers above 0, in the order ham, spam"),
        (["--loss", "hinge"], "--loss 'hinge' is not one of cross_entropy, focal"),
        (["--metric_for_best_model", "f7"], "--metric_for_best_model f7"),
        (["--metrics", "no_such_metric"], "no_such_metric"),
    ],
)
def test_bad_input_is_one_message_before_training_and_leaves_no_run(
    messages, tmp_path, monkeypatch, capsys, flags, message
):
    common = [*data_flags(messages), "--model_type", "bert", *QUICK, "--output_dir", str(tmp_path / "run")]

    code = in_process(monkeypatch, *common, *flags)

    said = capsys.readouterr()
    assert code == 2
    assert message in said.err
    assert said.err.count("error:") == 1
    assert "epoch" not in said.out
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--class_weights", "1,2,3"),
        ("--targets", "recall[spma]>=0.8"),
        ("--metrics", "bleu"),
        ("--threshold_objective", "f3"),
        ("--loss", "hinge"),
    ],
)
def test_what_judges_is_refused_before_the_model_is_loaded(messages, tmp_path, monkeypatch, capsys, flag, value):
    there_is_no_model = ["--model_name_or_path", str(tmp_path / "nothing"), "--output_dir", str(tmp_path / "run")]

    code = in_process(monkeypatch, *data_flags(messages), *there_is_no_model, flag, value)

    assert code == 2
    assert f"error: {flag} " in capsys.readouterr().err


def test_bad_input_exits_2_without_a_traceback(tmp_path):
    done = in_subprocess([sys.executable], "--train_file", "missing.csv", "--model_type", "bert", cwd=tmp_path)

    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "missing.csv" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_existing_run_is_kept_when_the_new_input_is_bad(bert_run, messages, monkeypatch, capsys):
    folder, _ = bert_run
    before = (folder / "run.json").read_text()
    flags = ["--model_type", "bert", "--output_dir", str(folder), "--overwrite", "--label_column", "nothing"]

    code = in_process(monkeypatch, *data_flags(messages), *flags)

    assert code == 2
    assert (folder / "run.json").read_text() == before
    assert (folder / "model.safetensors").exists()


def test_two_spellings_of_a_class_are_said_with_the_data_at_the_end_and_on_the_page(messages, tmp_path, capsys):
    from recipes.spam import main

    header, *rows = messages.read_text().splitlines()
    path = tmp_path / "messages.csv"
    path.write_text(
        "\n".join([header, *(row.replace(",spam", ",Spam") if i % 2 else row for i, row in enumerate(rows))])
    )
    capsys.readouterr()

    flags = [*data_flags(path), "--model_type", "bert", *QUICK, "--max_steps", "2", "--positive_label", "spam"]
    folder = main([*flags[:-2], "--output_dir", str(tmp_path / "run")])

    printed = " ".join(capsys.readouterr().out.split())
    line = (
        "'spam' (30 rows) is a separate class here, but is probably 'Spam' (30 rows): if so, write 'Spam' in the file"
    )
    line = line if line in printed else line.replace("Spam", "sPam").replace("spam", "Spam").replace("sPam", "spam")
    data, end = printed.split("Caution")
    assert line in data
    assert line in end
    assert json.loads((folder / "run.json").read_text())["cautions"][0] == line
    assert "is probably &#39;" in (folder / "report.html").read_text().split("Caution")[1]


def test_the_notes_of_a_run_stand_on_its_page(demo_run):
    folder = demo_run("spam")

    (note, *_) = json.loads((folder / "run.json").read_text())["notes"]
    assert note.startswith("threshold ")
    assert escape(note) in (folder / "report.html").read_text()
