import json
import re

import pyarrow as pa
import pyarrow.parquet
import pytest

from llmtune import cli
from llmtune.arguments import RUN_MARKER
from llmtune.errors import InputError
from llmtune.metrics import score_predictions
from llmtune.predictions import make_predictions, read_predictions, write_predictions
from llmtune.predictions.metadata import METADATA_KEY

REFERENCE = ["spam"] * 40 + ["ham"] * 60
PREDICTION = ["spam"] * 30 + ["ham"] * 70  # 30 hits, 10 missed, no alarm


def foreign(path):
    columns = {"reference": REFERENCE, "prediction": PREDICTION}
    if path.suffix == ".parquet":
        pa.parquet.write_table(pa.table(columns), path)
    elif path.suffix == ".csv":
        path.write_text("reference,prediction\n" + "\n".join(map(",".join, zip(REFERENCE, PREDICTION, strict=True))))
    else:
        rows = [{"reference": r, "prediction": p} for r, p in zip(REFERENCE, PREDICTION, strict=True)]
        path.write_text("\n".join(map(json.dumps, rows)))
    return path


def a_run(folder, *splits, metrics=()):
    table = {"reference": REFERENCE, "prediction": PREDICTION}
    for split in splits:
        made = make_predictions("classification", table, label_names=["ham", "spam"], split=split)
        write_predictions(made, folder / "predictions" / f"{split}.parquet")
    (folder / "run.json").write_text(json.dumps({"seed": 7, "arguments": {"task": {"metrics": list(metrics)}}}))
    (folder / RUN_MARKER).touch()
    return folder


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_a_table_made_anywhere_gets_all_metrics(ending, tmp_path, capsys):
    path = foreign(tmp_path / f"t{ending}")

    cli.run(["report", str(path), "--kind", "classification", "--output_dir", str(tmp_path / "d")])

    scores = json.loads((tmp_path / "d" / "metrics.json").read_text())["test"]
    assert scores["f1"]["value"] == pytest.approx(60 / 70)
    assert scores["f1"]["low"] < 60 / 70 < scores["f1"]["high"]
    assert scores["accuracy"] == {
        **{"value": 0.9, "n": 100, "signature": scores["accuracy"]["signature"]},
        **{"low": pytest.approx(0.8256, abs=1e-4), "high": pytest.approx(0.9448, abs=1e-4)},  # Wilson, by statsmodels
    }
    assert re.search(r"^f1 of spam +0\.857 \[", capsys.readouterr().out, re.MULTILINE), "of which class"


def test_the_positive_label_can_be_chosen(tmp_path):
    path = foreign(tmp_path / "t.csv")

    more = ["--positive_label", "ham", "--output_dir", str(tmp_path)]
    cli.run(["report", str(path), "--kind", "classification", *more])

    assert json.loads((tmp_path / "metrics.json").read_text())["test"]["f1"]["value"] == pytest.approx(120 / 130)


def test_a_chosen_positive_label_turns_the_threshold(tmp_path):
    table = {"reference": REFERENCE, "prediction": PREDICTION, "probabilities": [[0.7, 0.3]] * 100}
    made = make_predictions("classification", table, label_names=["ham", "spam"], threshold=0.25)
    write_predictions(made, tmp_path / "t.parquet")

    cli.run(["report", str(tmp_path / "t.parquet"), "--positive_label", "ham", "--output_dir", str(tmp_path)])

    assert "threshold:0.75" in json.loads((tmp_path / "metrics.json").read_text())["test"]["f1"]["signature"]


def test_labels_name_the_order_of_probabilities(tmp_path):
    row = {"reference": "spam", "prediction": "spam", "probabilities": [0.9, 0.1]}
    (tmp_path / "t.jsonl").write_text(json.dumps(row))

    more = ["--labels", "spam, ham", "--output_dir", str(tmp_path)]
    cli.run(["report", str(tmp_path / "t.jsonl"), "--kind", "classification", *more])

    log_loss = json.loads((tmp_path / "metrics.json").read_text())["test"]["log_loss"]["value"]
    assert log_loss == pytest.approx(0.10536, abs=1e-5)  # -ln 0.9


def test_without_output_dir_a_table_is_only_printed(tmp_path):
    path = foreign(tmp_path / "t.csv")

    cli.run(["report", str(path), "--kind", "classification"])

    assert [entry.name for entry in tmp_path.iterdir()] == ["t.csv"]


def test_a_run_gets_its_metrics_json_again_with_its_own_seed_and_metrics(tmp_path, capsys):
    run = a_run(tmp_path / "run", "validation", "test", metrics=["f_beta"])

    cli.run(["report", str(run)])

    written = json.loads((run / "metrics.json").read_text())
    table = read_predictions(run / "predictions" / "test.parquet")
    expected = score_predictions(table, metrics=["f_beta"], seed=7)
    assert set(written) == {"validation", "test"}
    assert written["test"] == {name: score.to_json() for name, score in expected.items()}
    assert "seed:7" in written["test"]["f1"]["signature"]
    assert "Validation: 100 rows" in capsys.readouterr().out


def test_the_baselines_of_a_run_stand_beside_it(tmp_path, capsys):
    run = a_run(tmp_path / "run", "test")
    baseline = make_predictions(
        "classification", {"reference": REFERENCE, "prediction": REFERENCE}, label_names=["ham", "spam"]
    )
    write_predictions(baseline, run / "predictions" / "baselines" / "oracle.parquet")

    cli.run(["report", str(run)])

    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["metric", "value", "[95", "%", "interval]", "oracle"] for line in lines)
    assert any(line.startswith("accuracy ") and line.split()[-1] == "1.000" for line in lines)


@pytest.mark.parametrize("columns", [60, 140])
def test_every_kind_has_a_block(columns, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    tables = {
        "token-classification": {"reference": [["B-PER", "O"]] * 40, "prediction": [["B-PER", "B-LOC"]] * 40},
        "text-generation": {"reference": ["the cat sat"] * 40, "prediction": ["the cat sat down"] * 40},
        "question-answering": {"reference": [["Paris"]] * 40, "prediction": ["Paris"] * 40},
        "language-modeling": {"nll": [20.0, 30.0] * 20, "tokens": [10] * 40, "bytes": [40] * 40, "words": [8] * 40},
        "regression": {"reference": [1.0, 2.0] * 20, "prediction": [1.5, 2.0] * 20},
    }
    shown = {
        "token-classification": "entity_f1",
        "text-generation": "bleu",
        "question-answering": "exact_match",
        "language-modeling": "perplexity",
        "regression": "rmse",
    }
    for kind, content in tables.items():
        write_predictions(make_predictions(kind, content), tmp_path / f"{kind}.parquet")

        cli.run(["report", str(tmp_path / f"{kind}.parquet")])

        printed = capsys.readouterr().out
        assert "Test: 40 rows" in printed
        assert shown[kind] in printed
        assert max(map(len, printed.splitlines())) <= columns


def test_metrics_by_entity_type_are_a_table(tmp_path, capsys):
    table = {"reference": [["B-PER", "O"]] * 40, "prediction": [["B-PER", "B-LOC"]] * 40}
    write_predictions(make_predictions("token-classification", table), tmp_path / "t.parquet")

    cli.run(["report", str(tmp_path / "t.parquet")])

    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["type", "entities", "precision", "recall", "F1"] for line in lines)
    assert any(line.split()[:3] == ["PER", "40", "1.000"] for line in lines)


def test_two_tables_of_one_split_do_not_share_a_metrics_json(tmp_path):
    a, b = foreign(tmp_path / "a.csv"), foreign(tmp_path / "b.csv")

    with pytest.raises(
        InputError, match=r"a\.csv and .*b\.csv are both of the split 'test', .* report them one by one"
    ):
        cli.run(["report", str(a), str(b), "--kind", "classification", "--output_dir", str(tmp_path)])


def test_a_table_whose_metadata_is_broken_is_named(tmp_path):
    columns = pa.table({"reference": ["a"], "prediction": ["a"]})
    pa.parquet.write_table(columns.replace_schema_metadata({METADATA_KEY: b"{"}), tmp_path / "t.parquet")

    with pytest.raises(InputError, match=r"t\.parquet: its metadata llmtune: not JSON \(EOF"):
        cli.run(["report", str(tmp_path / "t.parquet"), "--kind", "classification"])


def test_a_comparison_of_runs_does_not_replace_one_of_them(tmp_path):
    runs = [str(a_run(tmp_path / name, "test")) for name in ("a", "b")]

    with pytest.raises(InputError, match="is a run with results of its own; name another folder"):
        cli.run(["report", *runs, "--output_dir", runs[1]])


def test_the_metrics_of_another_run_are_not_replaced(tmp_path):
    run, path = a_run(tmp_path / "run", "test"), foreign(tmp_path / "a.csv")

    with pytest.raises(InputError, match="is a run with results of its own; name another folder"):
        cli.run(["report", str(path), "--kind", "classification", "--output_dir", str(run)])


@pytest.mark.parametrize(
    ("content", "more", "message"),
    [
        ("reference,prediction\nham,ham\n", [], "the table does not say its kind; give --kind"),
        (
            "reference,prediction\n",
            ["--kind", "classification"],
            "t.csv: the table has no rows; give one with predictions",
        ),
        ("reference\nham\n", ["--kind", "classification"], "no column 'prediction'"),
        (
            "reference,prediction\nham,ham\n",
            ["--kind", "classification", "--labels", "a,,b"],
            "'' is empty or named twice",
        ),
        (
            "reference,prediction\nham,ham\n",
            ["--kind", "classification", "--labels", "a,b,a"],
            "'a' is empty or named twice",
        ),
        (
            "reference,prediction\nham,ham\nspam,ham\n",
            ["--kind", "classification", "--positive_label", "eggs"],
            "--positive_label 'eggs': ",
        ),
        (
            'reference,prediction,probabilities\nham,ham,"[0.9"\n',
            ["--kind", "classification"],
            "t.csv row 0: probabilities '[0.9' is not a list of numbers",
        ),
        (
            "reference,prediction\nham,ham\n",
            ["--kind", "classification", "--metrics", "f11"],
            "metric 'f11' is none of ours",
        ),
    ],
)
def test_a_wrong_table_or_argument_is_named(content, more, message, tmp_path):
    (tmp_path / "t.csv").write_text(content)

    with pytest.raises(InputError) as raised:
        cli.run(["report", str(tmp_path / "t.csv"), *more])

    assert message in str(raised.value)


def test_our_own_tables_know_their_labels(tmp_path):
    made = make_predictions("classification", {"reference": ["a"], "prediction": ["b"]}, label_names=["a", "b"])
    write_predictions(made, tmp_path / "t.parquet")

    with pytest.raises(InputError, match="--labels b,a: .* names its own labels, a, b; leave --labels out"):
        cli.run(["report", str(tmp_path / "t.parquet"), "--labels", "b,a"])


def test_a_folder_without_predictions_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no predictions/\*.parquet in this folder; give a run"):
        cli.run(["report", str(tmp_path)])


def test_a_broken_run_json_is_named(tmp_path):
    run = a_run(tmp_path / "run", "test")
    (run / "run.json").write_text("{")

    with pytest.raises(InputError, match=r"run\.json: not JSON .*; restore it, or name the tables in"):
        cli.run(["report", str(run)])


def test_the_page_is_left_beside_the_metrics_and_the_card_beside_weights(tmp_path):
    table = {"reference": REFERENCE, "prediction": PREDICTION}
    carried = {"text": [f"<script>text {i}</script>" for i in range(100)]}
    made = make_predictions("classification", table, carried=carried, label_names=["ham", "spam"])
    run = a_run(tmp_path / "run", "validation")
    write_predictions(made, run / "predictions" / "test.parquet")

    cli.run(["report", str(run)])

    page = (run / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;text" in page
    assert not (run / "README.md").exists()
    assert page.count("<script") == 0  # without probabilities there is no slider

    (run / "config.json").write_text(json.dumps({"llmtune": {"max_length": 8}}))
    cli.run(["report", str(run), "--no_examples"])

    assert "text 1" not in (run / "report.html").read_text(encoding="utf-8")
    scores = json.loads((run / "metrics.json").read_text())["test"]
    assert f"value: {scores['f1']['value']}" in (run / "README.md").read_text(encoding="utf-8")


def test_a_run_of_private_data_stays_private_when_reported_again(tmp_path):
    run = a_run(tmp_path / "run", "test")
    table = {"reference": REFERENCE, "prediction": PREDICTION}
    made = make_predictions("classification", table, carried={"text": ["secret"] * 100}, label_names=["ham", "spam"])
    write_predictions(made, run / "predictions" / "test.parquet")
    (run / "run.json").write_text(json.dumps({"seed": 7, "arguments": {"data": {"no_examples": True}}}))

    cli.run(["report", str(run)])

    assert "secret" not in (run / "report.html").read_text(encoding="utf-8")
