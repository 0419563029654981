"""The Python API: predictions in memory → scores, verdict, page and Hub, the same as `llmtune report` gives."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from llmtune import Report, cli, compare
from llmtune.arguments import RUN_MARKER
from llmtune.errors import InputError
from llmtune.predictions import write_predictions
from llmtune.report import judged_table
from llmtune.terminal import score_tables
from tests.hub_stand_in import Hub
from tests.report.test_page import AT, HOSTILE, spam_table

N = 120
RNG = np.random.default_rng(3)
IS_SPAM = RNG.random(N) < 0.4
P = np.clip(RNG.normal(np.where(IS_SPAM, 0.65, 0.3), 0.2), 0.01, 0.99)
REFERENCES = np.where(IS_SPAM, "spam", "ham")
PREDICTIONS = np.where(P >= 0.5, "spam", "ham")
PROBABILITIES = np.stack([1 - P, P], axis=1)
LABELS = ("ham", "spam")
TABLE = {
    "reference": REFERENCES.tolist(),
    "prediction": PREDICTIONS.tolist(),
    "probabilities": PROBABILITIES.tolist(),
    "text": [f"message {i} {label}" for i, label in enumerate(REFERENCES)],
}
ORDER = np.argsort(np.argsort(TABLE["text"], kind="stable"), kind="stable")  # from the order of the texts to TABLE's
# Of each kind the columns of a small table.
KINDS = {
    "token-classification": {
        "reference": [["B-PER", "O"], ["O", "B-LOC"]] * 20,
        "prediction": [["B-PER", "O"], ["O", "O"]] * 20,
        "tokens": [["Ada", "sat"], ["in", "Rome"]] * 20,
    },
    "text-generation": {
        "reference": [["a cat sat on the mat"], ["a dog", "the dog"]] * 20,
        "prediction": ["a cat sat on a mat", "dogs"] * 20,
        "source": ["eine Katze", "ein Hund"] * 20,
    },
    "question-answering": {
        "reference": [["Rome"], []] * 20,
        "prediction": ["Rome", ""] * 20,
        "question": ["where?", "who?"] * 20,
    },
    "regression": {"reference": [1.0, 2.0, 4.0] * 20, "prediction": [1.5, 2.0, 3.0] * 20},
}


def predictions_of(table):
    """The arguments of `from_predictions` for a table."""
    more = {name: values for name, values in table.items() if name not in ("reference", "prediction", "probabilities")}
    return (table["reference"], table["prediction"], table.get("probabilities")), more


@pytest.fixture(scope="module")
def report():
    return Report.from_predictions(REFERENCES, PREDICTIONS, PROBABILITIES, labels=LABELS, name="filter")


def test_the_scores_are_those_of_scikit_learn(report):
    scores = report.scores

    assert scores["accuracy"].value == pytest.approx(accuracy_score(REFERENCES, PREDICTIONS))
    assert scores["f1"].value == pytest.approx(f1_score(REFERENCES, PREDICTIONS, pos_label="spam"))
    assert scores["roc_auc"].value == pytest.approx(roc_auc_score(IS_SPAM, P))
    assert scores["f1"].low < scores["f1"].value < scores["f1"].high


@pytest.mark.parametrize(
    "make",
    [
        lambda values: values,
        np.array,
        pd.Series,
        tuple,
        lambda values: pa.array(values),
        lambda values: torch.tensor(values, dtype=torch.float64) if isinstance(values[0], list) else values,
    ],
    ids=["list", "array", "series", "tuple", "arrow", "tensor"],
)
def test_a_column_may_be_of_any_sequence(make, report):
    columns = [make(TABLE[name]) for name in ("reference", "prediction", "probabilities")]

    assert Report.from_predictions(*columns, labels=LABELS).scores == report.scores


@pytest.mark.parametrize(
    "make",
    [
        dict,
        pd.DataFrame,
        datasets.Dataset.from_dict,
        pa.table,
        lambda table: pd.DataFrame(table, index=range(N, 0, -1)),
        lambda table: pd.DataFrame(table).astype({"reference": "category", "prediction": "string"}),
        lambda table: datasets.Dataset.from_dict(table).cast_column("reference", datasets.ClassLabel(names=LABELS)),
        lambda table: datasets.Dataset.from_dict(table).select(range(N)).shuffle(seed=1).sort("text").select(ORDER),
    ],
    ids=["dict", "frame", "dataset", "arrow", "index", "dtypes", "class labels", "indices"],
)
def test_a_table_may_be_a_frame_or_a_data_set(make, report):
    for judge in (Report.from_table, Report.from_predictions):
        assert judge(make(TABLE), kind="classification", labels=LABELS).scores == report.scores


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_judged_as_its_file_is(kind, tmp_path):
    columns, more = predictions_of(KINDS[kind])
    path = tmp_path / "rows.jsonl"
    rows = [dict(zip(KINDS[kind], row, strict=True)) for row in zip(*KINDS[kind].values(), strict=True)]
    path.write_text("\n".join(map(json.dumps, rows)))
    cli.run(["report", str(path), "--kind", kind, "--output_dir", str(tmp_path / "cli")])

    Report.from_predictions(*columns, kind=kind, columns=more).save(tmp_path / "api")
    Report.from_table(pd.DataFrame(KINDS[kind]), kind=kind).save(tmp_path / "frame")
    Report.from_table(path, kind=kind).save(tmp_path / "file")

    for folder in ("api", "frame", "file"):
        for name in ("metrics.json", "verdict.json"):
            written, expected = ((tmp_path / place / name).read_text() for place in (folder, "cli"))
            assert json.loads(written) == json.loads(expected), (folder, name)


def test_targets_train_and_base_enter_the_verdict():
    columns, more = predictions_of(TABLE)
    worse = Report.from_table({**TABLE, "prediction": ["ham"] * N}, kind="classification", labels=LABELS)
    train = pd.DataFrame({"text": TABLE["text"][:40], "label": TABLE["reference"][:40]})

    judged = Report.from_predictions(
        *columns, labels=LABELS, columns=more, targets="recall[spam]>=0.99", train=train, base=worse
    )

    checks = {check.check: check for check in judged.verdict.checks}
    assert judged.verdict.verdict == "not_ready"
    assert checks["targets"].status == checks["leakage"].status == "fail"
    assert checks["worse_than_base"].finding.startswith("Significantly better than the base")
    assert set(judged.baselines) == {"majority", "TF-IDF + logistic regression"}


def test_groups_and_slices_are_tables_of_the_page_too():
    table = {**TABLE, "team": ["blue" if i % 2 else "red" for i in range(N)]}

    judged = Report.from_table(table, kind="classification", labels=LABELS, group_columns=["team"])

    assert [part.column for part in judged.slices] == ["length", "team"]
    fairness = next(check for check in judged.verdict.checks if check.check == "fairness")
    assert fairness.status != "not_applicable"


def test_a_function_is_a_metric():
    def hits(predictions, references):
        return {"hits": float(sum(p == r for p, r in zip(predictions, references, strict=True)))}

    judged = Report.from_predictions(REFERENCES, PREDICTIONS, labels=LABELS, metrics=[hits])

    assert judged.scores["hits"].value == (REFERENCES == PREDICTIONS).sum()


def test_a_run_is_judged_as_the_command_does(tmp_path):
    table = spam_table()
    write_predictions(table, tmp_path / "predictions" / "test.parquet")
    run = {"seed": 7, "arguments": {"task": {"targets": "f1>=0.9"}, "data": {"group_columns": ["team"]}}}
    (tmp_path / "run.json").write_text(json.dumps(run))
    (tmp_path / RUN_MARKER).touch()

    judged = Report.from_run(tmp_path)

    cli.run(["report", str(tmp_path)])
    written = json.loads((tmp_path / "verdict.json").read_text())
    assert json.loads(json.dumps(judged.verdict.to_json())) == written
    assert next(check for check in written["checks"] if check["check"] == "targets")["status"] == "fail"
    assert judged.name == tmp_path.name


@pytest.mark.parametrize("labels", [[0, 1], np.array([0, 1]), ["0", "1"], (0.0, 1.0)])
def test_class_ids_are_labels_as_scikit_learn_gives_them(labels):
    truth, answers = IS_SPAM.astype(int), (P >= 0.5).astype(int)

    judged = Report.from_predictions(truth, answers, PROBABILITIES, labels=labels, positive_label=1)

    assert judged.test.label_names == ("0", "1")
    assert judged.scores["roc_auc"].value == pytest.approx(roc_auc_score(truth, P))
    assert judged.scores["f1"].value == pytest.approx(f1_score(truth, answers))


FRAME = pd.DataFrame(PROBABILITIES, columns=LABELS)


@pytest.mark.parametrize(
    ("probabilities", "positive"),
    [
        (P, None),
        (P[:, None], None),
        (pd.Series(P), "spam"),
        (1 - P, "ham"),
        (torch.tensor(P), None),
        (FRAME, None),
        (FRAME[["spam", "ham"]], None),
    ],
    ids=["of the positive", "column", "series", "of the chosen positive", "tensor", "frame", "frame in another order"],
)
@pytest.mark.parametrize("labels", [(), LABELS])
def test_probabilities_may_be_of_the_positive_label_or_a_frame(probabilities, positive, labels):
    judged = Report.from_predictions(REFERENCES, PREDICTIONS, probabilities, labels=labels, positive_label=positive)

    np.testing.assert_allclose(judged.test.probabilities(), PROBABILITIES, rtol=0, atol=1e-15)
    assert judged.scores["roc_auc"].value == pytest.approx(roc_auc_score(IS_SPAM, P))


def test_a_frame_of_probabilities_names_classes_that_never_occur():
    frame = pd.DataFrame({2: [0.1, 0.0], 0: [0.8, 0.1], 1: [0.1, 0.9]})

    judged = Report.from_predictions([0, 1], [0, 1], frame)

    assert judged.test.label_names == ("0", "1", "2")
    assert judged.test.probabilities().tolist() == [[0.8, 0.1, 0.1], [0.1, 0.9, 0.0]]


def test_one_metric_or_column_needs_no_list():
    team = ["blue" if i % 2 else "red" for i in range(N)]

    one, several = (
        Report.from_predictions(REFERENCES, PREDICTIONS, columns={"team": team}, metrics=metrics, slice_columns=columns)
        for metrics, columns in (("f_beta", "team"), (["f_beta"], ["team"]))
    )

    assert one.scores == several.scores
    assert "f2" in one.scores
    assert [part.column for part in one.slices] == ["team"]


def test_a_report_never_replaces_the_results_of_a_run(report, tmp_path):
    (tmp_path / RUN_MARKER).touch()

    with pytest.raises(InputError, match="is a run with results of its own; name another folder"):
        report.save(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == [RUN_MARKER]


MESSAGES = [
    (
        lambda: Report.from_predictions(["a", "b"], ["a"]),
        "predictions: 1 values, but references has 2; give one for each row, in the same order",
    ),
    (
        lambda: Report.from_predictions("ab", ["a", "b"]),
        "references: found str, expected a list, an array or a Series with one value for each row",
    ),
    (
        lambda: Report.from_predictions(pd.DataFrame({"x": ["a"]}), ["a"]),
        "references: found DataFrame, expected a list, an array or a Series with one value for each row",
    ),
    (
        lambda: Report.from_table(pd.DataFrame([["a", "a", "b"]], columns=["reference", "prediction", "reference"])),
        "data: 2 columns are called 'reference'; give each a name of its own",
    ),
    (
        lambda: Report.from_predictions(["a", "b"], ["a", "b"], columns={"text": 3}),
        "text: found int, expected a list, an array or a Series",
    ),
    (lambda: Report.from_predictions([], []), "data: the table has no rows"),
    (lambda: Report.from_predictions(["a"]), "data: found list, expected a path, a pandas DataFrame"),
    (
        lambda: Report.from_predictions(["a"], probabilities=[[1.0]]),
        "predictions: none were given; a table holds its other columns itself",
    ),
    (
        lambda: Report.from_table(3),
        "data: found int, expected a path, a pandas DataFrame, a datasets.Dataset or a dict",
    ),
    (
        lambda: Report.from_table("tests"),
        "tests: is a folder, expected a table; a run is opened by Report.from_run",
    ),
    (
        lambda: Report.from_table(pd.DataFrame({"reference": ["a"], "prediction": ["a"]})),
        "data: the table does not say its kind; give kind, one of classification, multilabel-classification",
    ),
    (
        lambda: Report.from_predictions(["a", "b"], ["a", "b"], targets="recal>=0.5"),
        "targets recal>=0.5: there is no 'recal' here; there are accuracy",
    ),
    (
        lambda: Report.from_predictions(["a", "b"], ["a", "b"], labels=["a", "a"]),
        "labels a,a: 'a' is empty or named twice; give each label once",
    ),
    (
        lambda: Report.from_predictions([1, 0], [1, 0], [True, False]),
        "data row 0: probabilities True is not a list of numbers; give one for each of ['0', '1']",
    ),
    (
        lambda: Report.from_predictions([1, 0, 2], [1, 0, 2], [0.8, 0.3, 0.2]),
        "data row 0: probabilities 0.8 is not a list of numbers; give one for each of ['0', '1', '2']",
    ),
    (
        lambda: Report.from_predictions(
            ["a", "b"], ["a", "b"], pd.DataFrame({"a": [0.9, 0.2], "c": [0.1, 0.8]}), labels="ab"
        ),
        "labels: found str, expected a list",
    ),
    (
        lambda: Report.from_predictions(
            ["a", "b"], ["a", "b"], pd.DataFrame({"a": [0.9, 0.2], "c": [0.1, 0.8]}), labels=["a", "b"]
        ),
        "probabilities: the columns are a, c, the labels a, b; name each column after its class",
    ),
    (
        lambda: Report.from_predictions(["a", "b"], ["a", "b"], columns={"reference": ["b", "a"]}),
        "columns: 'reference' is an argument of its own; give other columns here",
    ),
    (
        lambda: Report.from_predictions(["a", "b"], ["a", "b"], targets=["accuracy>=0.9"]),
        "targets: found list, expected a text; write 'recall[spam]>=0.8,accuracy>=0.85'",
    ),
    (
        lambda: compare(Report.from_predictions(["a", "b"], ["a", "b"]), "runs/spam-1"),
        "b: found str, expected a Report; make it by Report.from_predictions, Report.from_table or Report.from_run",
    ),
    (
        lambda: Report.from_predictions(["a", "b"], ["a", "b"]).save(__file__),
        f"{__file__}: is a file; name a folder",
    ),
    (
        lambda: Report.from_predictions(["a", "b"], ["a", "b"]).save(Path(__file__) / "judged"),
        f"{Path(__file__) / 'judged'}: can't be made a folder (Not a directory); name another folder",
    ),
    (
        lambda: Report.from_predictions(["a", "b"], ["a", "b"], labels=["a", None]),
        "labels a,: '' is empty or named twice; give each label once",
    ),
    (
        lambda: Report.from_predictions(["a", "b"], ["a", "b"], positive_label="c"),
        "positive_label 'c': data has the labels a, b; name one of them",
    ),
    (
        lambda: Report.from_predictions(["a", "b"], ["a", "b"], train={"body": ["x"]}),
        "train: no column 'text'; found body; name it by text_column",
    ),
    (
        lambda: Report.from_predictions(["a", "b"], ["a", "b"]).push("no/such/name"),
        "repo_id no/such/name: Repo id must be in the form 'repo_name' or 'namespace/repo_name'",
    ),
    (
        lambda: Report.from_run("tests"),
        "tests: no predictions/test.parquet in this folder; give a run",
    ),
]


@pytest.mark.parametrize(("call", "message"), MESSAGES)
def test_what_is_wrong_is_one_message_in_the_words_of_the_function(call, message):
    with pytest.raises(InputError) as caught:
        call()

    assert str(caught.value).startswith(message)
    assert "--" not in str(caught.value)


def test_an_unknown_option_is_named_with_the_known_ones():
    with pytest.raises(TypeError, match="target: no such option; expected one of targets, train, text_column"):
        Report.from_predictions(["a"], ["a"], target="f1>=1")


def test_printed_it_says_verdict_and_headlines(report):
    lines = repr(report).splitlines()

    assert lines[0] == "Report 'filter': text classification, 120 rows of test"
    assert lines[1] == report.verdict.sentence
    assert re.fullmatch(r"  accuracy 0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]", lines[2])


def test_the_saved_report_is_whole_and_can_leave_the_texts_out(tmp_path):
    judged = Report.from_table({**TABLE, "text": [HOSTILE] * N}, kind="classification", labels=LABELS)

    paths = judged.save(tmp_path / "new", no_examples=True)

    assert [path.name for path in paths] == ["metrics.json", "verdict.json", "report.html"]
    assert all(path.exists() for path in paths)
    assert "alert" not in paths[2].read_text()
    assert json.loads(paths[1].read_text())["verdict"] == judged.verdict.verdict


def test_in_a_notebook_it_is_a_page_that_asks_for_nothing(report, browser, tmp_path):
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><p id=cell>a cell</p>{report._repr_html_()}")
    browser.requests(), browser.log("browser")  # those of the page before

    browser.open(path)
    size = "return getComputedStyle(document.getElementById('cell')).fontSize"
    assert browser.run(size) == "16px"  # the page's styles are its own
    browser.enter_frame()
    moved = browser.run(AT, 333)

    at = report.slider.thresholds[333]
    truth, called = IS_SPAM, at <= P
    assert moved["f1"] == f"{f1_score(truth, called):.3f}"
    assert [url for url in browser.requests() if not url.startswith(("chrome", "data:", "about:"))] == [path.as_uri()]
    assert [entry["message"] for entry in browser.log("browser")] == []


def test_the_report_alone_goes_to_the_hub(tmp_path):
    """What `llmtune push --report_only` sends; the Hub's address is read when its client is imported."""
    script = (
        "from llmtune import Report\n"
        "report = Report.from_predictions(['a', 'b'] * 40, ['a', 'b'] * 40, columns={'text': ['secret'] * 80})\n"
        "print(report.push('ada/judged'))\n"
    )
    with Hub({}) as hub:
        away = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0", "HF_TOKEN": "hf_x"}
        done = subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, **away}, capture_output=True, text=True, timeout=120
        )

        assert done.returncode == 0, done.stderr
        (files,) = hub.commits["ada/judged"]
    assert set(files) == {"metrics.json", "verdict.json", "report.html", "README.md"}
    card = files["README.md"].decode()
    front = yaml.safe_load(card.split("---")[1])
    (results,) = front["model-index"]
    assert results["name"] == "judged"
    assert {metric["type"] for metric in results["results"][0]["metrics"]} >= {"accuracy", "f1"}
    assert "library_name" not in front  # there are no weights
    assert "weights that lie here" not in card
    assert "How to use" not in card
    assert done.stdout.strip() == f"{hub.url}/ada/judged"
    assert hub.private["ada/judged"]
    assert not any(b"secret" in content for content in files.values())


def test_it_imports_no_torch_and_llmtune_alone_imports_nothing(tmp_path):
    script = (
        "import sys\n"
        "import llmtune\n"
        "assert not [name for name in sys.modules if name.startswith('llmtune.')]\n"
        "from llmtune import Report, compare\n"
        "a, b = (Report.from_predictions(['x', 'y'] * 40, guess * 40) for guess in (['x', 'y'], ['x', 'x']))\n"
        "a.save(sys.argv[1]), a._repr_html_(), compare(a, b)._repr_html_(), a.verdict.sentence\n"
        "heavy = {'torch', 'transformers', 'datasets', 'evaluate', 'huggingface_hub'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )

    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True)

    assert done.stdout.strip() == "[]", done.stderr


def test_what_is_derived_of_a_table_is_computed_once(monkeypatch, tmp_path, capsys):
    """Terminal, page and card of `llmtune report` read one comparison of entities, one matrix and one set of slices."""
    calls = Counter()
    homes = {
        "compare_entities": (judged_table, score_tables),
        "build_matrix": (judged_table,),
        "score_slices": (judged_table,),
        "error_examples": (judged_table,),
    }
    for name, modules in homes.items():
        for module in modules:
            function = getattr(module, name)
            counted = lambda *args, name=name, function=function: (calls.update([name]), function(*args))[1]  # noqa: E731
            monkeypatch.setattr(module, name, counted)
    run = tmp_path / "run"
    table = Report.from_table(KINDS["token-classification"], kind="token-classification").test
    write_predictions(table, run / "predictions" / "test.parquet")
    (run / "config.json").write_text("{}")

    cli.run(["report", str(run)])

    assert {path.name for path in run.iterdir()} >= {"README.md", "report.html"}
    assert "LOC" in capsys.readouterr().out
    assert calls == {"compare_entities": 1, "build_matrix": 1, "score_slices": 1, "error_examples": 1}


def test_a_run_of_private_rows_shows_their_texts_nowhere(tmp_path):
    write_predictions(spam_table(), tmp_path / "predictions" / "test.parquet")
    (tmp_path / "run.json").write_text(json.dumps({"arguments": {"data": {"no_examples": True}}}))
    private, public = Report.from_run(tmp_path), Report.from_table(spam_table())

    pages = [private._repr_html_(), compare(private, public)._repr_html_(), compare(public, private)._repr_html_()]
    pages += [path.read_text() for path in private.save(tmp_path / "saved") if path.suffix == ".html"]

    assert len(pages) == 4
    assert not any("alert(" in page for page in pages)
    assert "alert(" in public._repr_html_()  # a text of the same rows


VALUES = st.one_of(st.sampled_from(["a", "b", "1", "", " a", "é"]), st.integers(-2, 2), st.booleans())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=12))
def test_labels_in_memory_are_read_as_those_of_a_file(pairs):
    """Whatever a file of these cells is refused for, a list is; else both give the same labels and scores."""
    references, predictions = (list(column) for column in zip(*pairs, strict=True))

    def outcome(judge):
        try:
            report = judge()
        except InputError as error:
            return str(error).partition(": ")[2]
        assert report.scores["accuracy"].value == pytest.approx(np.mean([str(a) == str(b) for a, b in pairs]))
        return report.test.label_names, report.scores

    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("\n".join(json.dumps({"reference": a, "prediction": b}) for a, b in pairs), encoding="utf-8")
        of_file = outcome(lambda: Report.from_table(path, kind="classification"))
    assert outcome(lambda: Report.from_predictions(references, predictions)) == of_file
    frame = pd.DataFrame({"reference": references, "prediction": predictions}, dtype=object)
    assert outcome(lambda: Report.from_predictions(frame, kind="classification")) == of_file
