"""Files that a program wrote and another changed: one message with the file, the field, what was found and expected."""

import json
import re
import shutil

import pyarrow.parquet
import pytest

from llmtune import cli
from llmtune.errors import InputError
from llmtune.predictions.metadata import METADATA_KEY
from llmtune.runs.folder import write_json
from llmtune.runs.tables import open_table
from llmtune.tasks.text_classification.task import TextClassification
from tests.commands.conftest import lora_run, spam_file, spam_model  # noqa: F401 - fixtures
from tests.runs.test_run_folder import a_run

# What can become of a whole file.
BROKEN = {
    "empty": b"",
    "a list": b"[]",
    "null": b"null",
    "a number": b"3",
    "cut": b'{"seed": 3, "argu',
    "not UTF-8": b'{"seed": "\xff\xfe"}',
    "deep": b'{"seed":' * 100_000,
    "deep and closed": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "zeros": b"\0" * 64,
}
SCORE = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 80, "signature": "x"}
CHECK = {"check": "leakage", "status": "pass", "finding": "", "numbers": {}, "remedy": ""}
# What can become of a field: (file, its content, the field that the message names).
FIELDS = [
    ("run.json", {"seed": "3"}, "seed"),
    ("run.json", {"seed": None}, "seed"),
    ("run.json", {"seed": -1}, "seed"),
    ("run.json", {"seed": 2.5}, "seed"),
    ("run.json", {"seed": 2**40}, "seed"),
    ("run.json", {"seed": [3]}, "seed"),
    ("run.json", {"arguments": None}, "arguments"),
    ("run.json", {"arguments": []}, "arguments"),
    ("run.json", {"arguments": {"task": None}}, "arguments.task"),
    ("run.json", {"arguments": {"task": []}}, "arguments.task"),
    ("run.json", {"arguments": {"task": {"metrics": "f2"}}}, "arguments.task.metrics"),
    ("run.json", {"arguments": {"task": {"metrics": [None]}}}, "arguments.task.metrics.0"),
    ("run.json", {"arguments": {"task": {"targets": 3}}}, "arguments.task.targets"),
    ("run.json", {"arguments": {"task": {"text_column": ["text"]}}}, "arguments.task.text_column"),
    ("run.json", {"arguments": {"task": {"label_columns": {"a": 1}}}}, "arguments.task.label_columns"),
    ("run.json", {"arguments": {"data": 3}}, "arguments.data"),
    ("run.json", {"arguments": {"data": {"group_columns": "who"}}}, "arguments.data.group_columns"),
    ("run.json", {"arguments": {"data": {"fold": 2}}}, "arguments.data.fold"),
    ("run.json", {"arguments": {"evaluate": {"metrics": 1}}}, "arguments.evaluate.metrics"),
    ("run.json", {"arguments": {"model": []}}, "arguments.model"),
    ("run.json", {"data": []}, "data"),
    ("run.json", {"data": {"test": 3}}, "data.test"),
    ("run.json", {"model": "bert"}, "model"),
    ("run.json", {"training": None}, "training"),
    ("run.json", {"training": {"kept": 3}}, "training.kept"),
    ("run.json", {"training": {"kept": {"step": 3}}}, "training.kept.chosen"),
    ("run.json", {"training": {"evaluations": {}}}, "training.evaluations"),
    ("run.json", {"training": {"evaluations": [3]}}, "training.evaluations.0"),
    ("run.json", {"training": {"losses": [{"step": 1}]}}, "training.losses.0.loss"),
    ("run.json", {"training": {"losses": "none"}}, "training.losses"),
    ("run.json", {"truncated": 3}, "truncated"),
    ("run.json", {"threshold": 0.5}, "threshold"),
    ("run.json", {"hardware": []}, "hardware"),
    ("run.json", {"versions": {"torch": 2}}, "versions.torch"),
    ("run.json", {"cautions": "none"}, "cautions"),
    ("run.json", {"notes": [3]}, "notes.0"),
    ("run.json", {"peak_memory_mib": "much"}, "peak_memory_mib"),
    ("metrics.json", {"test": None}, "test"),
    ("metrics.json", {"test": [SCORE]}, "test"),
    ("metrics.json", {"test": {"f1": 0.5}}, "test.f1"),
    ("metrics.json", {"test": {"f1": {}}}, "test.f1.value"),
    ("metrics.json", {"test": {"f1": {**SCORE, "value": "0.5"}}}, "test.f1.value"),
    ("metrics.json", {"test": {"f1": {**SCORE, "low": [0.4]}}}, "test.f1.low"),
    ("metrics.json", {"test": {"f1": {**SCORE, "n": -1}}}, "test.f1.n"),
    ("metrics.json", {"test": {"f1": {**SCORE, "n": None}}}, "test.f1.n"),
    ("metrics.json", {"test": {"f1": {**SCORE, "signature": None}}}, "test.f1.signature"),
    ("metrics.json", {"test": {"f1": {**SCORE, "value": float("nan")}}}, "test.f1.value"),
    ("metrics.json", {"test": {"f1": {**SCORE, "high": float("inf")}}}, "test.f1.high"),
    ("verdict.json", {"verdict": "ready"}, "checks"),
    ("verdict.json", {"verdict": "perfect", "checks": []}, "verdict"),
    ("verdict.json", {"verdict": None, "checks": []}, "verdict"),
    ("verdict.json", {"verdict": "ready", "checks": {}}, "checks"),
    ("verdict.json", {"verdict": "ready", "checks": [3]}, "checks.0"),
    ("verdict.json", {"verdict": "ready", "checks": [{"x": 1}]}, "checks.0.check"),
    ("verdict.json", {"verdict": "ready", "checks": [{**CHECK, "status": "good"}]}, "checks.0.status"),
    ("verdict.json", {"verdict": "ready", "checks": [{**CHECK, "numbers": None}]}, "checks.0.numbers"),
    ("verdict.json", {"verdict": "ready", "checks": [{**CHECK, "finding": 3}]}, "checks.0.finding"),
    ("verdict.json", {"verdict": "ready", "checks": [{**CHECK, "extra": 3}]}, "checks.0.extra"),
]
METADATA = [
    ({"kind": 3}, "kind"),
    ({"kind": None}, "kind"),
    ({"split": 3}, "split"),
    ({"label_names": "ham,spam"}, "label_names"),
    ({"label_names": ["ham", 3]}, "label_names.1"),
    ({"label_names": None}, "label_names"),
    ({"positive_label": ["spam"]}, "positive_label"),
    ({"threshold": "half"}, "threshold"),
    ({"threshold": None}, "threshold"),
    ({"settings": []}, "settings"),
    ({"settings": None}, "settings"),
]
SETTINGS = [
    ({"task": 3}, "task"),
    ({"max_length": "24"}, "max_length"),
    ({"max_length": 0}, "max_length"),
    ({"max_length": -5}, "max_length"),
    ({"max_length": 2.5}, "max_length"),
    ({"threshold": "half"}, "threshold"),
    ({"threshold": None}, "threshold"),
    ({"threshold": [0.5]}, "threshold"),
    ({"temperature": 0}, "temperature"),
    ({"temperature": "warm"}, "temperature"),
    ({"positive_label": 3}, "positive_label"),
    ({"ordinal": "yes"}, "ordinal"),
    ({"stride": -1}, "stride"),
    ({"thresholds": 0.5}, "thresholds"),
    ({"clip_predictions": [1.0]}, "clip_predictions"),
    ({"pooling": 3}, "pooling"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A reported run, with all that push asks for."""
    run = a_run(tmp_path_factory.mktemp("tampered") / "run")
    (run / "config.json").write_text('{"llmtune": {"max_length": 8}}')
    (run / "model.safetensors").write_bytes(b"weights")
    cli.run(["report", str(run)])
    return run


@pytest.fixture
def run(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "run")


def refused(*argv):
    """The message, of one line or a few; anything but an InputError fails the test."""
    with pytest.raises(InputError) as caught:
        cli.run([str(each) for each in argv])
    return str(caught.value)


def ask(command, run, tmp_path):
    return {
        "report": ["report", run],
        "push": ["push", run, "--repo_id", "user/spam", "--dry_run"],
        "compare": ["compare", run, run],
    }[command]


def test_the_run_as_it_was_written_is_taken_by_all(run, tmp_path):
    cli.run(["report", str(run)])
    cli.run(["push", str(run), "--repo_id", "user/spam", "--dry_run"])
    cli.run(["compare", str(run), str(run)])


@pytest.mark.parametrize("command", ["report", "push"])
@pytest.mark.parametrize("name", ["run.json", "metrics.json", "verdict.json"])
@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_broken_is_named(content, name, command, run, tmp_path):
    (run / name).write_bytes(content)

    message = refused(*ask(command, run, tmp_path))

    assert message.startswith(f"{run / name}: "), message
    assert re.search(r"(not JSON|found a JSON \w+).*, expected an object; (restore|delete) it", message), message
    assert len(message) < 600, "not the whole file"


@pytest.mark.parametrize(("name", "content", "field"), FIELDS)
def test_a_field_of_another_type_is_named(name, content, field, run, tmp_path):
    (run / name).write_text(json.dumps(content))

    for command in ("report", "push"):
        message = refused(*ask(command, run, tmp_path))
        assert message.startswith(f"{run / name}: "), message
        assert f"field {field}" in message, message
        assert re.search(r"(found .*, expected .*|which is required); (restore|delete)", message), message


def with_metadata(path, metadata):
    table = pyarrow.parquet.read_table(path)
    pyarrow.parquet.write_table(table.replace_schema_metadata({METADATA_KEY: metadata}), path)


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_metadata_that_is_broken_is_named(content, run, tmp_path):
    with_metadata(run / "predictions" / "test.parquet", content)

    for command in ("report", "compare"):
        message = refused(*ask(command, run, tmp_path))
        assert "test.parquet: its metadata llmtune: " in message
        assert message.endswith("restore the table, or write its columns without metadata and give --kind")


@pytest.mark.parametrize(("change", "field"), METADATA)
def test_a_field_of_the_metadata_is_named(change, field, run, tmp_path):
    path = run / "predictions" / "test.parquet"
    own = json.loads(pyarrow.parquet.read_schema(path).metadata[METADATA_KEY])
    with_metadata(path, json.dumps({**own, **change}))

    for command in ("report", "compare"):
        assert f"test.parquet: its metadata llmtune: field {field}: found " in refused(*ask(command, run, tmp_path))


@pytest.mark.parametrize(("change", "field"), SETTINGS)
def test_a_setting_of_a_model_is_named(change, field, spam_model, spam_file, tmp_path):  # noqa: F811
    model = shutil.copytree(spam_model, tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    write_json(model / "config.json", {**config, "llmtune": {**config["llmtune"], **change}})

    for command in (
        ["evaluate", "--model", model, "--test_file", spam_file, "--output_dir", tmp_path / "out"],
        ["predict", "--model", model, "--text", "see you"],
    ):
        message = refused(*command)
        assert f"config.json, entry llmtune: field {field}: found " in message
        assert message.endswith("the model is then read as one made elsewhere")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("name", ["config.json", "adapter_config.json"])
def test_a_config_that_is_broken_is_named(name, content, lora_run, tmp_path):  # noqa: F811
    run = shutil.copytree(lora_run, tmp_path / "run")
    (run / name).write_bytes(content)

    for command in (
        ["predict", "--model", run, "--text", "see you"],
        ["merge", run, "--output_dir", tmp_path / "plain"],
    ):
        assert str(run) in refused(*command)
    assert not (tmp_path / "plain").exists()


@pytest.mark.parametrize("value", [None, 3, "x", [], ["task"]])
def test_settings_that_are_no_object_are_named(value, spam_model, tmp_path):  # noqa: F811
    model = shutil.copytree(spam_model, tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    write_json(model / "config.json", {**config, "llmtune": value})

    message = refused("predict", "--model", model, "--text", "see you")

    assert re.search(
        r"config\.json, entry llmtune: found a JSON \w+, expected an object; restore config\.json", message
    )


@pytest.mark.parametrize("task", ["forecasting", "translation", "causal_lm", "regression"])
def test_settings_of_another_task_are_one_message(task, spam_model, tmp_path):  # noqa: F811
    model = shutil.copytree(spam_model, tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    write_json(model / "config.json", {**config, "llmtune": {"task": task, "surprise": 3}})

    message = refused("predict", "--model", model, "--text", "see you")

    assert message.startswith(f"{model}: ")


def test_settings_that_lack_what_their_task_needs_are_one_message(spam_model, monkeypatch):  # noqa: F811
    monkeypatch.setattr(TextClassification, "from_config", lambda config, name: {}["columns"])

    message = refused("predict", "--model", spam_model, "--text", "see you")

    assert f"{spam_model}: its config.json does not describe a " in message


def test_a_folder_in_the_place_of_a_file_is_named(run, tmp_path):
    (run / "run.json").unlink()
    (run / "run.json").mkdir()
    (tmp_path / "t.csv").mkdir()

    assert "run.json: can't be read (Is a directory), expected a file with JSON; restore it" in refused("report", run)
    with pytest.raises(InputError, match="t.csv: not readable as predictions: "):
        open_table(tmp_path / "t.csv", kind="classification")
