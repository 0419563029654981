"""The forecasting recipe from the command line to what a run leaves, and the commands on it."""

import contextlib
import csv
import importlib.util
import io
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from llmtune import cli
from llmtune.arguments import DataArguments
from llmtune.diagnosis.baseline import baseline
from llmtune.errors import InputError
from llmtune.models.checkpoints import load_config
from llmtune.predictions import make_predictions, read_predictions
from llmtune.runs.folder import RunFolder
from llmtune.tasks.forecasting.arguments import ForecastingArguments
from llmtune.tasks.forecasting.splits import load_series
from llmtune.tasks.forecasting.steps import Steps
from llmtune.tasks.forecasting.task import Forecasting
from llmtune.tasks.forecasting.windows import Windows

RECIPES = Path(__file__).parents[1] / "recipes"
IBM = Path(__file__).parents[2] / "shared" / "data" / "ibm_stock" / "ibm_2013_2018.csv"
TINY = ["--model_type", "lstm", "--config_overrides", "hidden_size=8,bidirectional=false,dropout=0"]
TINY += ["--cpu_threads", "1", "--per_device_train_batch_size", "16", "--learning_rate", "1e-2"]


def recipe_main(*flags):
    spec = importlib.util.spec_from_file_location("forecasting", RECIPES / "forecasting.py")
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    return recipe.main(list(map(str, flags)))


@pytest.fixture(scope="module")
def run(demo_run):
    return demo_run("forecasting")


@pytest.fixture(scope="module")
def demo_rows():
    with (RECIPES / "demo" / "forecasting" / "series.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_run_leaves_forecasts_in_the_unit_of_the_target_beside_what_costs_nothing(run, demo_rows):
    table = read_predictions(run / "predictions" / "test.parquet")
    facts = RunFolder(run).settings

    by_day = {(row["stall"], row["day"]): float(row["sales"]) for row in demo_rows}
    keys = list(zip(table.column("series"), table.column("time"), strict=True))
    assert len(keys) == 480
    assert table.column("reference") == [by_day[key] for key in keys]
    assert [float(demo_rows[row]["sales"]) for row in table.column("id")] == table.column("reference")
    assert [float(demo_rows[row - 1]["sales"]) for row in table.column("id")] == table.column("last_value")
    assert set(RunFolder(run).baselines("test")) == {"persistence", "drift", "seasonal naive (7)", "ridge"}
    persistence = RunFolder(run).baselines("test")["persistence"]
    assert persistence.column("prediction") == table.column("last_value")
    assert not persistence.has("lower")
    assert facts["windows"] == {"train": 1546, "validation": 360, "test": 480}
    assert facts["data"]["test"]["first"] == min(table.column("time"))
    assert json.loads((run / "metrics.json").read_text())["test/persistence"]["directional_accuracy"]["value"] == 0.5


def test_intervals_are_the_errors_on_validation_and_their_coverage_is_measured(run):
    validation, test = (read_predictions(run / "predictions" / f"{split}.parquet") for split in ("validation", "test"))
    scales = load_config(run).llmtune["scales"]

    def sizes(table):
        return np.array([scales[key]["target_size"] for key in table.column("series")])

    errors = np.abs(np.subtract(validation.column("reference"), validation.column("prediction"))) / sizes(validation)
    width = np.sort(errors)[math.ceil(361 * 0.9) - 1]
    assert not validation.has("lower")
    np.testing.assert_allclose(np.subtract(test.column("upper"), test.column("prediction")), width * sizes(test))
    inside = [a <= y <= b for a, y, b in zip(*map(test.column, ("lower", "reference", "upper")), strict=True)]
    assert json.loads((run / "metrics.json").read_text())["test"]["coverage"]["value"] == pytest.approx(np.mean(inside))


def test_the_saved_model_predicts_in_another_process_what_the_run_did(run, demo_rows, tmp_path):
    table = read_predictions(run / "predictions" / "test.parquet")
    first = min(table.column("time"))
    days = sorted({row["day"] for row in demo_rows})
    begin = days[days.index(first) - 7]
    rows = write_rows(tmp_path / "late.csv", [row for row in demo_rows if row["day"] >= begin])

    cli.run(["evaluate", "--model", str(run), "--test_file", str(rows), "--output_dir", str(tmp_path / "e")])

    again = read_predictions(tmp_path / "e" / "predictions" / "test.parquet")
    assert again.column("time") == table.column("time")
    np.testing.assert_allclose(again.column("prediction"), table.column("prediction"), rtol=1e-5)
    assert json.loads((tmp_path / "e" / "metrics.json").read_text())["test"]["mase"]["value"] > 0


def test_predict_predicts_what_comes_after_the_last_row_of_each_series(run, demo_rows, tmp_path):
    table = read_predictions(run / "predictions" / "test.parquet")
    last = max(table.column("time"))
    source = write_rows(tmp_path / "so_far.csv", [row for row in demo_rows if row["day"] < last])

    cli.run(["predict", "--model", str(run), "--input", str(source), "--output", str(tmp_path / "next.csv")])

    with (tmp_path / "next.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = {
        key: [prediction, low, high]
        for key, time, prediction, low, high in zip(
            *map(table.column, ("series", "time", "prediction", "lower", "upper")), strict=True
        )
        if time == last
    }
    assert [row["series"] for row in rows] == ["harbor", "market"]
    assert {(row["after"], row["step"]) for row in rows} == {("2024-06-11", "1")}
    for row in rows:
        told = [float(row[name]) for name in ("prediction", "lower", "upper")]
        np.testing.assert_allclose(told, expected[row["series"]], rtol=1e-5)


def test_the_code_of_the_card_predicts_as_it_stands(run, monkeypatch):
    card = (run / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    monkeypatch.chdir(run)

    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(code, "README.md", "exec"), {})

    assert "pipeline_tag: time-series-forecasting" in card
    assert len(json.loads(out.getvalue())) == 1


def test_report_and_compare_read_a_run_of_forecasts(run, tmp_path, capsys):
    before = json.loads((run / "metrics.json").read_text())["test"]["rmse"]

    cli.run(["report", str(run / "predictions" / "test.parquet"), "--output_dir", str(tmp_path / "r")])
    cli.run(["compare", str(run / "predictions" / "baselines" / "persistence.parquet"), str(run)])

    assert json.loads((tmp_path / "r" / "metrics.json").read_text())["test"]["rmse"] == before
    page = (run / "report.html").read_text(encoding="utf-8")
    for heading in ("Over time", "What the model attends to", "Loss"):
        assert f"<h3>{heading}</h3>" in page
    assert 'class="band"' in page
    assert "90 % interval" in page
    assert "on rmse" in capsys.readouterr().out


def test_one_series_of_several_steps_is_foretold_by_changes(tmp_path):
    values = 10 * np.sin(np.arange(240) / 4) + np.random.default_rng(0).normal(size=240) / 10
    path = tmp_path / "wave.csv"
    path.write_text("time,target\n" + "\n".join(f"{i},{value}" for i, value in enumerate(values)))

    folder = recipe_main(
        "--train_file", path, "--lookback", 6, "--horizon", 3, "--predict_change", "--past_across_splits", *TINY,
        "--num_train_epochs", 5, "--output_dir", tmp_path / "run",
    )  # fmt: skip

    table = read_predictions(folder / "predictions" / "test.parquet")
    assert len(table) == 22
    np.testing.assert_allclose(table.column("reference")[0], values[table.column("id")[0] :][:3])
    assert table.column("last_value")[0] == pytest.approx(values[table.column("id")[0] - 1])
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<h3>Errors by step</h3>" in page
    losses = [entry["curves"]["train"]["loss"] for entry in RunFolder(folder).settings["training"]["evaluations"]]
    assert losses[-1] < 0.8 * losses[0]


def test_what_comes_after_train_changes_no_scale_no_window_and_no_weight(tmp_path):
    draw = np.random.default_rng(0)
    values = draw.normal(size=120)
    changed = np.concatenate([values[:96], values[96:] * 1e3 + draw.normal(size=24)])
    runs = []
    for name, series in (("a", values), ("b", changed)):
        path = tmp_path / f"{name}.csv"
        path.write_text("time,target\n" + "\n".join(f"{i},{float(value)!r}" for i, value in enumerate(series)))
        flags = ["--train_file", path, "--lookback", 8, "--past_across_splits", "--eval_strategy", "no", *TINY]
        folder = recipe_main(*flags, "--num_train_epochs", 2, "--output_dir", tmp_path / name)
        runs.append((folder, read_task(path)))

    (folder_a, (task_a, windows_a)), (folder_b, (task_b, windows_b)) = runs
    assert task_a.scales == task_b.scales
    np.testing.assert_array_equal(windows_a.past_values(), windows_b.past_values())
    np.testing.assert_array_equal(windows_a.labels(), windows_b.labels())
    weights_a, weights_b = (load_file(folder / "model.safetensors") for folder in (folder_a, folder_b))
    assert all(weights_a[name].equal(weights_b[name]) for name in weights_a)
    tests = [
        read_predictions(folder / "predictions" / "test.parquet").column("reference") for folder in (folder_a, folder_b)
    ]
    assert tests[0] != tests[1]


def test_a_resumed_run_ends_with_the_weights_and_numbers_of_an_unbroken_one(tmp_path):
    path = tmp_path / "walk.csv"
    values = np.random.default_rng(0).normal(size=120).cumsum()
    path.write_text("time,target\n" + "\n".join(f"{i},{float(value)!r}" for i, value in enumerate(values)))
    flags = ["--train_file", path, "--lookback", 8, *TINY, "--config_overrides", "hidden_size=8,dropout=0.2"]
    flags += ["--past_across_splits", "--num_train_epochs", 3, "--save_total_limit", 9]
    whole = recipe_main(*flags, "--output_dir", tmp_path / "whole")
    last = max(whole.glob("checkpoint-*"), key=lambda folder: int(folder.name.rpartition("-")[2]))
    shutil.copytree(whole, tmp_path / "broken", ignore=shutil.ignore_patterns(last.name))

    resumed = recipe_main(*flags, "--output_dir", tmp_path / "broken", "--resume_from_checkpoint", "auto")

    weights, again = (load_file(folder / "model.safetensors") for folder in (whole, resumed))
    assert all(weights[name].equal(again[name]) for name in weights)
    assert (resumed / "metrics.json").read_text() == (whole / "metrics.json").read_text()


def read_task(path, **options) -> tuple[Forecasting, Windows]:
    """The task of a file, and its train windows."""
    options = ForecastingArguments(**{"lookback": 8, **options})
    splits = load_series(
        DataArguments(train_file=str(path)), options.columns, fill="none", lookback=options.lookback,
        past_across_splits=True,
    )  # fmt: skip
    task = Forecasting.from_options(options, splits.steps["train"])
    return task, task.windows(splits["train"])


def test_the_task_of_a_trained_model_is_the_one_that_was_trained(run):
    config = load_config(run)

    task = Forecasting.from_config(config, str(run))

    assert task.to_config() == config.llmtune
    assert task.columns.inputs == ("sales", "forecast_temperature", "weekend_tomorrow")
    with pytest.raises(InputError, match=r"its config holds no scales of series; give a run of recipes/forecasting.py"):
        Forecasting.from_config(type(config)(), "there")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--lookback", "0"], "--lookback 0: expected 1 or more steps"),
        (["--season", "61"], "--season 61: is longer than --lookback 60, so no window holds the value of a season"),
        (
            ["--interval_level", "90"],
            "--interval_level 90.0: expected a number above 0 and below 1, the share of truths inside, such as 0.9",
        ),
        (["--input_columns", "target", "target"], "--input_columns: 'target' is named twice; name each input once"),
        (["--lookback", "2", "--loss", "focal"], "--loss 'focal' is not one of mse, mae, huber"),
        (
            ["--lookback", "2", "--label_smoothing_factor", "0.1"],
            "--label_smoothing_factor 0.1: numbers have no classes to smooth over; leave it out",
        ),
        ([], "validation: --lookback 60 and --horizon 1 fit no window into its 10 steps (0 windows were left out for"),
        (["--lookback", "2", "--use_peft"], "--use_peft: an LSTM has no pretrained weights"),
        (
            ["--lookback", "2", "--config_overrides", "hidden_size=-1"],
            "--config_overrides: no model that reads numbers",
        ),
    ],
)
def test_what_can_not_be_trained_is_refused_before(tmp_path, flags, message):
    path = tmp_path / "rows.csv"
    path.write_text("time,target\n" + "\n".join(f"{i},{i % 7}" for i in range(100)))

    with pytest.raises(InputError) as refused:
        recipe_main("--train_file", path, "--model_type", "lstm", "--output_dir", tmp_path / "run", *flags)

    assert message in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_goes_on_only_with_windows_of_its_size(run, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("time,target\n" + "\n".join(f"{i},{i % 7}" for i in range(100)))

    with pytest.raises(InputError) as refused:
        recipe_main("--train_file", path, "--model_name_or_path", run, "--lookback", 2, "--output_dir", tmp_path / "r")

    assert (
        "was made for num_features 3, lookback 7, horizon 1, and this run asks for num_features 1, lookback 2, "
        "horizon 1; give the flags of that run"
    ) in str(refused.value)


def judged(scale, *, settings):
    """The check of forecasts with errors of this size beside persistence, whose errors are of size 1."""
    rng = np.random.default_rng(0)
    actual = rng.normal(size=300).cumsum() + 100
    columns = {"reference": actual[1:], "time": list(range(299)), "last_value": actual[:-1]}
    model, persistence = (
        make_predictions("regression", {**columns, "prediction": prediction}, settings=settings)
        for prediction in (actual[1:] + scale * rng.normal(size=299), actual[:-1])
    )
    return baseline(model, {"persistence": persistence, "drift": persistence})


def test_the_verdict_says_that_a_model_is_worse_than_persistence_and_why_its_loss_did_not_show_it():
    check = judged(3.0, settings={"deciding_metric": "rmse", "target_size": 100.0})

    assert check.status == "fail"
    assert check.finding.startswith("Worse than persistence, which repeats the last value: rmse 2.9")
    assert "(block bootstrap; Diebold-Mariano p = " in check.finding
    assert re.search(
        r"it is of the scaled target: 0\.000\d+ here, and 0\.0001 for persistence, as 1 on that scale is 100",
        check.finding,
    )
    assert "significantly better too: drift 1.0" in check.finding
    assert "--predict_change" in check.remedy


def test_a_model_that_is_as_good_does_not_beat_persistence_and_one_that_is_better_passes():
    alike = judged(1.0, settings={"deciding_metric": "rmse"})
    better = judged(0.5, settings={"deciding_metric": "rmse"})

    assert alike.status == "not_enough_data"
    assert alike.finding.startswith("Does not beat persistence, which repeats the last value: rmse ")
    assert "scaled target" not in alike.finding
    assert better.status == "pass"


@pytest.mark.skipif(not IBM.exists(), reason="real data are not here")
def test_the_classic_example_has_its_windows_and_a_verdict_against_it(tmp_path):
    config = ["--config", RECIPES / "configs" / "forecasting" / "ibm-level.yaml", "--train_file", IBM]

    folder = recipe_main(*config, "--num_train_epochs", 3, "--cpu_threads", 1, "--output_dir", tmp_path / "run")

    facts = RunFolder(folder).settings
    task, windows = read_task(
        IBM, time_column="date", target_column="close", input_columns=["open", "close"], lookback=60, scaler="minmax"
    )
    assert facts["data"]["train"]["rows"] == 1007
    assert windows.past_values().shape == (947, 60, 2)
    assert (windows.past_values().min(), windows.past_values().max()) == (0, 1)
    assert facts["model"]["parameters"] == 4 * (64 * (64 + 2) + 64) + (64 + 60) + 65 == 17_152 + 124 + 65
    check = RunFolder(folder).verdict.deciding[0]
    assert check.finding.startswith("Worse than persistence, which repeats the last value: rmse ")
    assert check.numbers["persistence"]["other"] == pytest.approx(1.938, abs=1e-3)
    tables = [read_predictions(folder / "predictions" / f"{split}.parquet") for split in ("validation", "test")]
    errors = [np.subtract(table.column("reference"), table.column("last_value")) for table in tables]
    # seen elsewhere of all 252 days after the 1,007: 1.70 dollars
    assert math.sqrt(np.mean(np.concatenate(errors) ** 2)) == pytest.approx(1.70, abs=1e-2)
    assert isinstance(task, Forecasting)
    assert isinstance(windows.steps, Steps)
