"""A run as ONNX answers as it did, or nothing is written; int8's loss is told with its interval."""

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from llmtune import cli
from llmtune.arguments import ModelArguments
from llmtune.commands import export as command
from llmtune.errors import InputError
from llmtune.finish import exported_model, fresh_process
from llmtune.models import decoder, encoder, onnx_model
from llmtune.models.loading import load_model
from llmtune.models.onnx_model import OnnxModel
from llmtune.predictions import read_predictions, write_predictions
from llmtune.runs.folder import write_json
from llmtune.tasks.text_classification.task import TextClassification
from llmtune.tasks.token_classification.task import TokenClassification
from tests.finish.planted_faults import edit_json, edit_settings, swap_labels, swap_tokenizer
from tests.finish.small_runs import RUNS, train, write_rows

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("## Without PyTorch: ONNX\n")[2].partition("\n## ")[0]
WINDOWS = ("--long_text", "windows", "--max_length", "12", "--stride", "4")


class AnswersHere:
    """The fresh process, in this one: it takes seconds to import torch."""

    def ask(self, folder):
        request = fresh_process.Request(**json.loads((folder / fresh_process.REQUEST).read_text()))
        (folder / fresh_process.ANSWER).write_text(json.dumps(fresh_process.answer(request, folder)))

    def finish(self):
        return ""


@pytest.fixture
def answers_here(monkeypatch):
    monkeypatch.setattr(exported_model, "FreshProcess", AnswersHere)


def export(run, folder, *more):
    return cli.run(["export", str(run), "--format", "onnx", "--output_dir", str(folder), "--cpu_threads", "1", *more])


@pytest.fixture(scope="module")
def spam_run(spam_model, spam_file, tmp_path_factory):
    """The tiny BERT with a tuned threshold and the predictions of its test rows, as a run leaves them."""
    run, scores = tmp_path_factory.mktemp("run") / "run", tmp_path_factory.mktemp("scores") / "scores"
    shutil.copytree(spam_model, run)
    cli.run(["evaluate", "--model", str(run), "--test_file", str(spam_file), "--output_dir", str(scores)])
    shutil.copytree(scores / "predictions", run / "predictions")
    return run


@pytest.fixture(scope="module")
def exported(spam_run, tmp_path_factory):
    """In fp32 and int8, checked by a fresh process, by the command of the README on a run of its name."""
    folder = tmp_path_factory.mktemp("exported")
    shutil.copytree(spam_run, folder / "runs" / "spam-1")
    (line,) = re.findall(r"^llmtune (export .*)$", SECTION, flags=re.MULTILINE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        cli.run([*shlex.split(line), "--cpu_threads", "1"])
    return folder / "onnx"


@pytest.fixture
def written_before(exported, monkeypatch, answers_here):
    """`fault(folder)` changes the files after they are written; they are copies, for torch.onnx takes seconds."""

    def copy_then(fault):
        def write_files(loaded, folder, *, int8):
            for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "model.onnx", "model_int8.onnx"):
                shutil.copy(exported / name, folder / name)
            fault(folder)
            return {"fp32": "model.onnx", "int8": "model_int8.onnx"} if int8 else {"fp32": "model.onnx"}

        monkeypatch.setattr(command, "write_files", write_files)

    copy_then(lambda folder: None)
    return copy_then


def test_the_exported_model_decides_every_row_as_the_run(exported):
    record = json.loads((exported / "export.json").read_text())

    assert record["models"]["fp32"]["rows_decided_alike"] == record["models"]["fp32"]["rows"] == 101
    assert record["models"]["fp32"]["difference"] == 0
    assert record["models"]["fp32"]["identical"]
    assert record["saved_model"].startswith("Loaded in a fresh process, it answers 101 test rows as the run did")
    assert record["largest_relative_difference_of_random_tokens"] < 1e-5
    assert record["run"] == "runs/spam-1"


def test_the_code_of_the_readme_decides_every_row_as_the_run(exported, spam_run, monkeypatch):
    """Without torch and transformers: by the threshold, labels and length of config.json."""
    table = read_predictions(spam_run / "predictions" / "test.parquet")
    code = re.search(r"```python\n(.*?)```", SECTION, re.DOTALL)[1]
    monkeypatch.chdir(exported.parent)
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    spam = names["config"]["label2id"][names["positive"]]
    is_spam = [names["probabilities"](text)[spam] >= names["settings"]["threshold"] for text in table.column("text")]

    assert ["spam" if positive else "ham" for positive in is_spam] == table.column("prediction")
    assert names["settings"]["threshold"] > 0.5
    assert len(set(is_spam)) == 2
    assert "torch" not in code


def test_int8_is_measured_against_the_run_and_is_smaller(exported):
    models = json.loads((exported / "export.json").read_text())["models"]
    loss, share = models["int8"], models["int8"]["share_decided_alike"]

    assert loss["metric"] == "f1 of spam"
    assert loss["difference"] == pytest.approx(loss["value"] - loss["of_run"])
    assert 0 < share["low"] < share["value"] < share["high"] < 1  # the threshold lies amid the probabilities
    assert share["value"] == loss["rows_decided_alike"] / 101
    assert models["int8"]["megabytes"] < models["fp32"]["megabytes"]
    assert loss["largest_difference"] != models["fp32"]["largest_difference"]
    for facts in models.values():
        assert facts["rows_per_second"] > 0
        assert facts["latency"]["n"] == 32


def test_rows_and_tokens_may_be_of_any_number(exported, spam_model):
    model = AutoModelForSequenceClassification.from_pretrained(spam_model).eval()
    onnx = OnnxModel(exported / "model.onnx")
    for rows, tokens in ((1, 2), (7, 24), (2, 60)):
        ids = torch.randint(5, 60, (rows, tokens), generator=torch.Generator().manual_seed(rows))
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        with torch.no_grad():
            torch.testing.assert_close(onnx(**inputs)["logits"], model(**inputs).logits, rtol=1e-4, atol=1e-5)


def test_the_block_says_what_was_written_and_seen(spam_run, tmp_path, capsys, written_before):
    export(spam_run, tmp_path / "onnx", "--max_eval_samples", "60")

    printed = " ".join(capsys.readouterr().out.split())
    assert "model.onnx (fp32), of input_ids, attention_mask (rows, tokens)" in printed
    assert "saved_model: Loaded in a fresh process, it answers 60 of 101 test rows as the run did" in printed
    assert (
        "fp32: 60 of 60 rows are decided as by the run (100.00% [94.04%, 100.00%]); f1 of spam is the run's" in printed
    )
    assert "pytorch: " in printed
    assert [path.name for path in tmp_path.iterdir()] == ["onnx"]


def test_the_document_is_the_record(spam_run, tmp_path, capsys, written_before):
    export(spam_run, tmp_path / "onnx", "--format", "json")

    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "onnx" / "export.json").read_text())


def drift(folder: Path) -> None:
    """The weights of the head are 1 % larger."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(folder / "model.onnx")
    head = next(each for each in model.graph.initializer if "classifier" in each.name and len(each.dims) == 2)
    head.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(head) * np.float32(1.01), head.name))
    onnx.save(model, folder / "model.onnx")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (edit_json("config.json", swap_labels), "id2label.0 is 'spam' in its config and was 'ham'"),
        (edit_settings(threshold=None), r"threshold is 0\.5 in its config and was"),
        (edit_settings(max_length=8), "max_length is 8 in its config and was 24"),
        (swap_tokenizer, "the vocabulary differ"),
        (drift, r"test rows otherwise.*probabilities differ by up to \d"),
        (lambda folder: (folder / "model.onnx").write_bytes(b"half"), "can't be used"),
    ],
    ids=["permuted labels", "lost threshold", "other max_length", "other tokenizer", "drifted weights", "half a file"],
)
def test_a_fault_of_the_export_is_caught_and_nothing_is_written(fault, words, spam_run, tmp_path, written_before):
    written_before(fault)

    with pytest.raises(InputError, match=f"exported, it is another model; nothing was written.*{words}"):
        export(spam_run, tmp_path / "onnx")

    assert list(tmp_path.iterdir()) == []


def test_a_model_that_differs_where_no_test_row_looks_is_caught(spam_run, tmp_path, monkeypatch, answers_here):
    forward = onnx_model.PositionalModel.forward

    first = AutoTokenizer.from_pretrained(spam_run).cls_token_id

    def differs_after_other_tokens(self, *tensors):
        (logits,) = forward(self, *tensors)
        return (logits + (tensors[0][:, :1] != first).float(),)  # every text begins with [CLS]

    monkeypatch.setattr(onnx_model.PositionalModel, "forward", differs_after_other_tokens)
    with pytest.raises(
        InputError, match="it answers random tokens otherwise: logits are up to .* of the largest apart"
    ):
        export(spam_run, tmp_path / "onnx")

    assert list(tmp_path.iterdir()) == []


def test_an_adapter_is_added_to_its_base_first(lora_run, spam_file, tmp_path, answers_here):
    """A decoder's class is read at the last token that is no padding."""
    run, scores = tmp_path / "run", tmp_path / "scores"
    shutil.copytree(lora_run, run)
    edit_json("adapter_config.json", lambda c: c.update(base_model_name_or_path=str(run / "base_model")))(run)
    cli.run(["evaluate", "--model", str(run), "--test_file", str(spam_file), "--output_dir", str(scores)])

    export(run, tmp_path / "onnx", "--predictions", str(scores / "predictions" / "test.parquet"))

    record = json.loads((tmp_path / "onnx" / "export.json").read_text())
    assert record["model_type"] == "llama"
    assert record["models"]["fp32"]["rows_decided_alike"] == 101
    assert not (tmp_path / "onnx" / "adapter_config.json").exists()
    assert set(record["models"]) == {"pytorch", "fp32"}


def test_weights_of_gigabytes_lie_beside_the_graph(spam_run, exported, tmp_path, monkeypatch):
    """As of a model that one protobuf does not hold."""
    import onnx

    model = onnx.load(exported / "model.onnx")
    name = "model.onnx"
    onnx.save(model, tmp_path / name, save_as_external_data=True, location=f"{name}.data")

    onnx_model.quantize_int8(tmp_path / name, tmp_path / "model_int8.onnx")

    batch = {"input_ids": torch.tensor([[5, 6, 7]]), "attention_mask": torch.ones(1, 3, dtype=torch.long)}
    for name in ("model.onnx", "model_int8.onnx"):
        assert (tmp_path / f"{name}.data").exists()
        assert onnx_model.megabytes(tmp_path / name) > (tmp_path / name).stat().st_size / 1e6
        beside, whole = OnnxModel(tmp_path / name)(**batch)["logits"], OnnxModel(exported / name)(**batch)["logits"]
        torch.testing.assert_close(beside, whole)


def without_table(run, folder):
    copy = folder / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("predictions"))
    return copy


def test_without_the_extra_it_says_what_to_install(spam_run, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_model, "find_spec", lambda name: None if name == "onnxruntime" else object())

    with pytest.raises(
        InputError, match=r"llmtune export needs onnxruntime, not installed here: pip install 'llmtune\[export\]'"
    ):
        export(spam_run, tmp_path / "onnx")


def test_a_run_that_is_not_there_is_named(tmp_path):
    with pytest.raises(
        InputError, match="nowhere: no such folder; give the --output_dir of a recipe, or of llmtune merge"
    ):
        export("nowhere", tmp_path / "onnx")


def test_a_folder_with_something_in_it_is_left_alone(spam_run, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(InputError, match="exists and is not empty; name a new folder"):
        export(spam_run, tmp_path)
    with pytest.raises(InputError, match=r"notes\.txt: is a file; name a new folder"):
        export(spam_run, tmp_path / "notes.txt")

    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_run_without_its_predictions_is_refused_or_given_a_table(spam_run, tmp_path, written_before):
    run, table = without_table(spam_run, tmp_path), spam_run / "predictions" / "test.parquet"

    with pytest.raises(
        InputError, match=r"run: holds no predictions/test\.parquet that the exported model could be checked by; run"
    ):
        export(run, tmp_path / "onnx")

    export(run, tmp_path / "onnx", "--predictions", str(table))
    assert (tmp_path / "onnx" / "export.json").exists()


def test_a_table_of_another_task_is_refused(spam_run, tmp_path):
    (tmp_path / "answers.jsonl").write_text('{"question": "Where?", "reference": "Paris", "prediction": "in Paris"}\n')
    table = read_predictions(tmp_path / "answers.jsonl", kind="question-answering")
    path = write_predictions(table, tmp_path / "answers.parquet")

    with pytest.raises(
        InputError,
        match="holds 1 rows of kind 'question-answering', expected 'classification' of this text-classification model; "
        "give the table that llmtune evaluate writes of it, or restore ",
    ):
        export(spam_run, tmp_path / "onnx", "--predictions", str(path))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("reference,prediction\nspam,spam\nham,ham\n", "has no probabilities, expected those of this"),
        ("reference,prediction\nyes,no\nno,no\n", "has the labels no, yes, expected ham, spam of this"),
        (
            'reference,prediction,"probability[ham]","probability[spam]"\nspam,spam,0.1,0.9\nham,ham,0.8,0.2\n',
            r"lacks a column that is read again \(.*text.*\), expected the rows of this",
        ),
    ],
    ids=["no probabilities", "other labels", "no texts"],
)
def test_a_table_that_this_model_did_not_write_is_refused(table, words, spam_run, tmp_path):
    (tmp_path / "made.csv").write_text(table)
    made = write_predictions(read_predictions(tmp_path / "made.csv", kind="classification"), tmp_path / "made.parquet")

    with pytest.raises(InputError, match=f"--predictions .*made.parquet: {words}"):
        export(spam_run, tmp_path / "onnx", "--predictions", str(made))


def test_a_table_of_weights_in_few_bits_is_refused(spam_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(spam_run, run)
    write_json(run / "run.json", {"arguments": {"model": {"load_in_4bit": True}}})

    with pytest.raises(InputError, match="was scored on weights of 4 bits, which ONNX does not hold; llmtune merge it"):
        export(run, tmp_path / "onnx")


def test_numbers_of_rows_that_are_none_are_refused(spam_run, tmp_path):
    with pytest.raises(InputError, match="--max_eval_samples 0: expected 1 or more"):
        export(spam_run, tmp_path / "onnx", "--max_eval_samples", "0")
    with pytest.raises(InputError, match="--per_device_eval_batch_size 0: expected 1 or more"):
        export(spam_run, tmp_path / "onnx", "--per_device_eval_batch_size", "0")


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"task": "causal-lm"}, "causal-lm"), ({"task": "translation"}, "translation")],
    ids=["language model", "translator"],
)
def test_a_model_that_writes_is_refused(settings, name, tmp_path, monkeypatch):
    run = tmp_path / "run"
    run.mkdir()
    monkeypatch.setattr(command, "load_task", lambda *_, **__: command.tasks()[name])

    with pytest.raises(InputError, match=f"run: a {name} model is not exported to ONNX; exported are .*regression"):
        export(run, tmp_path / "onnx")


def test_what_torch_onnx_can_not_trace_is_refused(tmp_path):
    task = TextClassification(("ham", "spam"), "spam", max_length=24)
    sizes = "hidden_size=8,embedding_size=8,attention_size=8"
    arguments = ModelArguments(model_type="lstm", config_overrides=sizes)
    loaded = load_model(arguments, task, train_texts=lambda: ["see you at lunch", "win a prize now"])
    loaded.model.config.llmtune = task.to_config()
    names = ["input_ids", "attention_mask"]

    with pytest.raises(InputError, match="torch.onnx can't write a model of model_type 'lstm'.*use the run as it is"):
        onnx_model.export_onnx(
            loaded.model.eval(), loaded.tokenizer, tmp_path / "model.onnx", inputs=names, outputs=["logits"]
        )


def test_a_model_that_could_not_be_scored_is_not_written(spam_run, tmp_path, monkeypatch, written_before):
    monkeypatch.setattr(AnswersHere, "ask", lambda self, folder: None)
    monkeypatch.setattr(
        AnswersHere, "finish", lambda self: "its process was ended by signal 9, as where memory runs out"
    )

    with pytest.raises(InputError, match=r"the exported model could not score the test rows \(its process was ended"):
        export(spam_run, tmp_path / "onnx")

    assert list(tmp_path.iterdir()) == []


def test_weights_of_8_bits_that_can_not_be_loaded_are_refused(spam_run, tmp_path, written_before):
    written_before(lambda folder: (folder / "model_int8.onnx").write_bytes(b"half"))

    with pytest.raises(
        InputError, match=r"model_int8.onnx can't be used \(.*onnxruntime can't load it .*leave out --int8"
    ):
        export(spam_run, tmp_path / "onnx", "--int8")

    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(spam_run, tmp_path, written_before):
    def fill(folder):
        raise OSError(28, "No space left on device")

    written_before(fill)
    with pytest.raises(
        InputError, match=r"onnx: can't be written: .*; make room there, or name a place on another disk"
    ):
        export(spam_run, tmp_path / "onnx")

    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    write_rows(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["spam", "ordered", "pairs", "labels", "score", "tags", "answers", "windows of BERT"])
def test_every_task_that_answers_in_one_pass_is_exported(name, rows, tmp_path):
    run = train(*((name, rows, tmp_path / "run") if name in RUNS else ("spam", rows, tmp_path / "run", *WINDOWS)))

    export(run, tmp_path / "onnx", "--int8")

    models = json.loads((tmp_path / "onnx" / "export.json").read_text())["models"]
    assert models["fp32"].get("rows_decided_alike", 61) == 61
    assert abs(models["fp32"]["difference"]) < 1e-5
    assert models["int8"]["largest_difference"]


TYPES = [
    *(("classes", name) for name in (*encoder.MODEL_TYPES, *decoder.MODEL_TYPES)),
    *(("tags", name) for name in ("bert", "modernbert", "llama")),
]


@pytest.mark.slow
@pytest.mark.parametrize(("head", "model_type"), TYPES, ids=map(" of ".join, TYPES))
def test_every_model_type_answers_as_onnx(head, model_type, tmp_path):
    tagger = TokenClassification(("O", "B-X", "I-X"), 24, 8)
    task = TextClassification(("ham", "spam"), "spam", max_length=24) if head == "classes" else tagger
    arguments = ModelArguments(model_type=model_type)
    loaded = load_model(arguments, task, train_texts=lambda: ["see you at lunch", "win a prize now"])
    model, path = loaded.model.eval(), tmp_path / "model.onnx"
    names = ["input_ids", "attention_mask"]

    if model_type == "longformer":
        with pytest.raises(InputError, match="torch.onnx can't write a model of model_type 'longformer'"):
            onnx_model.export_onnx(model, loaded.tokenizer, path, inputs=names, outputs=["logits"])
    else:
        onnx_model.export_onnx(model, loaded.tokenizer, path, inputs=names, outputs=["logits"])
        assert onnx_model.random_drift(model, OnnxModel(path), loaded.tokenizer, names, 40) < 1e-5
