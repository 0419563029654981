"""Rows with several labels: read from lists, texts and columns, trained, tuned, saved, evaluated and predicted."""

import ast
import csv
import json
import re
from types import SimpleNamespace

import datasets
import numpy as np
import pytest
import transformers

from llmtune import cli
from llmtune.arguments import DataArguments
from llmtune.data.in_memory import InMemoryData
from llmtune.errors import InputError
from llmtune.predictions import read_predictions
from llmtune.tasks.multi_label_classification.arguments import MultiLabelClassificationArguments
from llmtune.tasks.multi_label_classification.general import GeneralTextClassification
from llmtune.tasks.multi_label_classification.task import MultiLabelClassification
from llmtune.tasks.registry import task_of_architecture
from llmtune.tasks.text_classification.task import TextClassification
from llmtune.trained_models import load_task

LABELS = ("insult", "threat", "toxic")
SETS = [["toxic", "insult"], [], ["threat"], ["toxic"], ["insult", "toxic"], ["threat", "toxic"]] * 8
TEXTS = [f"{' '.join(labels) or 'fine'} {row} words" for row, labels in enumerate(SETS)]


def arguments(data, **task):
    return SimpleNamespace(data=data, task=MultiLabelClassificationArguments(**task), training=SimpleNamespace(seed=0))


def read(columns, **task):
    args = arguments(InMemoryData({"train": columns}, name="f"), **task)
    splits = GeneralTextClassification.read(args)
    return args, splits


def sets_of(splits):
    rows = [row for split in ("train", "validation", "test") for row in splits[split]]
    return {row["text"]: sorted(row["labels"]) for row in rows}


def columns(**labels):
    return {"text": TEXTS, **labels}


def test_lists_texts_with_a_separator_and_columns_of_0_and_1_give_the_same_rows():
    _, lists = read(columns(labels=SETS))
    _, spelled = read(columns(label=[json.dumps(labels) for labels in SETS]))
    _, joined = read(columns(label=["; ".join(labels) for labels in SETS]), label_separator=";")
    truths = {name: [str(name in labels).lower() for labels in SETS] for name in LABELS}
    _, apart = read(columns(**truths), label_columns=["toxic", "insult", "threat"])

    expected = {text: sorted(labels) for text, labels in zip(TEXTS, SETS, strict=True)}
    for splits in (lists, spelled, joined, apart):
        assert sets_of(splits) == expected
    assert lists.label_names == LABELS
    assert apart.label_names == ("toxic", "insult", "threat"), "the order of the flag"
    assert lists.class_counts["train"]["toxic"] > 0


def test_class_ids_of_a_data_set_keep_their_names_and_order():
    names = ["toxic", "threat", "insult"]
    labels = datasets.List(datasets.ClassLabel(names=names))
    features = datasets.Features({"text": datasets.Value("string"), "labels": labels})
    ids = [[names.index(label) for label in labels] for labels in SETS]
    rows = datasets.Dataset.from_dict({"text": TEXTS, "labels": ids}, features=features)

    splits = GeneralTextClassification.read(arguments(InMemoryData(rows, name="f")))

    assert splits.label_names == tuple(names)
    assert sets_of(splits) == {text: sorted(labels) for text, labels in zip(TEXTS, SETS, strict=True)}


def test_the_labels_tell_the_problem_type_and_the_flag_may():
    args, splits = read(columns(labels=SETS))
    assert (args.task.problem_type, args.task.label_column) == ("multi_label_classification", "labels")
    assert isinstance(GeneralTextClassification.from_arguments(args, splits), MultiLabelClassification)
    args, splits = read(columns(label=["a", "b"] * 24))
    assert args.task.problem_type == "single_label_classification"
    assert isinstance(GeneralTextClassification.from_arguments(args, splits), TextClassification)
    with pytest.raises(
        InputError, match="'several' is not one of single_label_classification, multi_label_classification"
    ):
        read(columns(labels=SETS), problem_type="several")
    with pytest.raises(InputError, match="--label_separator and --label_columns are for several labels a text"):
        read(columns(label=["a"] * 48), problem_type="single_label_classification", label_separator=";")


@pytest.mark.parametrize(
    ("rows", "flags", "message"),
    [
        ({"labels": [["toxic"], None] * 24}, {}, r"no set of labels \(None\) .*texts as toxic;insult are read with"),
        ({"labels": ["toxic;insult"] * 48}, {"problem_type": "multi_label_classification"}, "--label_separator ';'"),
        (
            {"a": ["2"] * 48, "b": [0] * 48},
            {"label_columns": ["a", "b"]},
            "'2' in column 'a', expected 0 or 1 .*write 1 where the row has",
        ),
        ({"a": [1] * 48}, {"label_columns": ["a", "b"]}, "no column 'b' .--label_columns"),
        ({"labels": [["toxic"]] * 48}, {}, "has 1 label in all 48 rows .toxic., expected at least two; for one label"),
        (
            {"a": [1, 0] * 24, "b": [0] * 48, "c": [0, 1] * 24},
            {"label_columns": ["a", "b", "c"]},
            "'b' .--label_columns. is 0 in every row of train, which teaches",
        ),
    ],
)
def test_a_cell_that_is_no_set_of_labels_is_named(rows, flags, message):
    with pytest.raises(InputError, match=f"(?s){message}"):
        read(columns(**rows), **flags)


def test_flags_for_one_label_and_unknown_words_are_refused():
    for flags, message in (
        ({"positive_label": "toxic"}, "--positive_label: is for one label a text, and these have several"),
        ({"temperature": "auto"}, "--temperature: is for one label a text"),
        ({"threshold_scope": "each"}, "--threshold_scope 'each' is not one of label, all"),
        ({"threshold_objective": "f3"}, "--threshold_objective 'f3'"),
    ):
        with pytest.raises(InputError, match=message):
            MultiLabelClassification.from_options(MultiLabelClassificationArguments(**flags), LABELS)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"ordinal": True}, "--ordinal: is for one label a text, and these have several; leave it out"),
        ({"loss": "cumulative"}, "--loss cumulative: is for classes in an order; take --loss cross_entropy or focal"),
        ({"label_separator": ""}, "--label_separator '': expected what stands between two labels, such as ';'"),
        (
            {"label_columns": ["toxic", "threat"], "label_separator": ";"},
            "--label_columns toxic threat and --label_separator ;: both say where the labels stand; leave one of",
        ),
        (
            {"label_columns": ["toxic", "threat"], "label_column": "kind"},
            "--label_columns toxic threat and --label_column kind: both say where",
        ),
        (
            {"label_columns": ["toxic"]},
            "--label_columns toxic: expected two columns or more, each once; one column of 0 and 1 is one "
            "label a text: --label_column toxic",
        ),
        ({"label_columns": ["toxic", "toxic"]}, "--label_columns toxic toxic: expected two columns or more, each once"),
    ],
)
def test_flags_that_contradict_several_labels_or_each_other_are_refused(flags, message):
    truths = {name: [int(name in labels) for labels in SETS] for name in LABELS}
    several = {} if flags.keys() & {"label_columns", "label_separator"} else {"labels": SETS}
    with pytest.raises(InputError, match=re.escape(message)):
        GeneralTextClassification.from_arguments(*read(columns(**truths, **several), **flags))


def test_joined_labels_are_not_taken_for_classes_unless_that_is_said():
    cells = [";".join(labels) or "none" for labels in SETS]
    message = "column 'label' holds 'toxic;insult', and each part of it alone in other rows"
    with pytest.raises(InputError, match=f"{message}: are these several labels a text\\? Then --label_separator ';'"):
        read(columns(label=[*cells[:-1], "insult"]))

    args, _ = read(columns(label=[*cells[:-1], "insult"]), problem_type="single_label_classification")

    assert args.task.problem_type == "single_label_classification"


def test_columns_that_pandas_wrote_as_floats_are_0_and_1():
    truths = {name: [str(float(name in labels)) for labels in SETS] for name in LABELS}
    _, splits = read(columns(**truths), label_columns=list(LABELS))
    assert sets_of(splits) == {text: sorted(labels) for text, labels in zip(TEXTS, SETS, strict=True)}


def test_labels_of_validation_that_train_lacks_are_named():
    data = {"train": columns(labels=SETS), "validation": {"text": ["x"], "labels": [["toxik"]]}}
    with pytest.raises(
        InputError, match=r"label 'toxik' in column 'labels' is not one of train's .* did you mean 'toxic'"
    ):
        GeneralTextClassification.read(arguments(InMemoryData(data, name="f")))


def test_a_checkpoint_made_elsewhere_is_read_by_its_problem_type():
    assert task_of_architecture("BertForSequenceClassification") is TextClassification
    several = task_of_architecture("BertForSequenceClassification", "multi_label_classification")
    assert several is MultiLabelClassification
    config = transformers.BertConfig(id2label={0: "a", 1: "b"}, problem_type="multi_label_classification")
    assert several.from_config(config, "m").thresholds == (0.5, 0.5)
    with pytest.raises(InputError, match="its config names no labels .id2label.; is it a classifier of several"):
        several.from_config(transformers.BertConfig(num_labels=1), "m")


def test_decisions_follow_the_threshold_of_each_label_and_nan_reaches_none():
    task = MultiLabelClassification(LABELS, (0.2, 0.5, 0.9), max_length=8)
    logits = np.array([[-1.0, 0.1, 2.0], [np.nan, np.nan, np.nan], [0.0, 0.0, 5.0]])

    assert task.decide(task.probabilities(logits)) == [["insult", "threat"], [], ["insult", "threat", "toxic"]]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    path = folder / "train.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "topics"])
        writer.writerows(zip(TEXTS * 3, ["|".join(labels) for labels in SETS * 3], strict=True))
    return path


@pytest.mark.parametrize(
    "model", [["bert"], ["lstm"], ["llama", "--use_peft", "--lora_r", "2"]], ids=["bert", "lstm", "llama-lora"]
)
def test_a_run_of_every_family_leaves_what_evaluate_and_predict_repeat(model, files, tmp_path, capsys, monkeypatch):
    small = "hidden_size=16" if model[0] == "lstm" else "hidden_size=16,num_attention_heads=2,intermediate_size=32"
    small += ",num_hidden_layers=1"
    run, again, answers = tmp_path / "run", tmp_path / "again", tmp_path / "answers.jsonl"
    flags = ["--train_file", str(files), "--label_column", "topics", "--label_separator", "|", "--max_steps", "3"]
    flags += ["--model_type", *model, "--config_overrides", small, "--cpu_threads", "1", "--output_dir", str(run)]
    with pytest.raises(SystemExit) as ended:
        cli.run(["train", "text_classification", *flags, "--class_weights", "balanced", "--test_file", str(files)])
    assert ended.value.code == 0

    table = read_predictions(run / "predictions" / "test.parquet")
    assert table.kind == "multilabel-classification"
    assert table.label_names == LABELS
    config = load_task(str(run))
    assert (config.label_separator, len(config.thresholds)) == ("|", 3)
    metrics = json.loads((run / "metrics.json").read_text())
    assert {"f1_micro", "subset_accuracy", "lrap", "roc_auc_macro"} <= metrics["test"].keys()
    assert "test/majority set" in metrics
    page = (run / "report.html").read_text()
    assert "Which labels stand together" in page
    assert "Each label on all rows" in page
    card = (run / "README.md").read_text()
    assert "thresholds = [" in card
    assert "| toxic |" in card
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    monkeypatch.chdir(run)
    capsys.readouterr()
    exec(compile(re.sub(r"texts = \[.*\]", f"texts = {TEXTS[:6]!r}", code), "card", "exec"), {})
    printed = [ast.literal_eval(line.partition("]")[0] + "]") for line in capsys.readouterr().out.splitlines()]
    assert printed == table.column("prediction")[:6]
    command = ["evaluate", "--model", str(run), "--test_file", str(files), "--label_column", "topics"]
    assert not cli.run([*command, "--output_dir", str(again)])
    repeated = read_predictions(again / "predictions" / "test.parquet")
    np.testing.assert_allclose(repeated.probabilities(), table.probabilities(), atol=1e-6)
    assert repeated.column("prediction") == table.column("prediction")
    assert not cli.run(["predict", "--model", str(run), "--input", str(files), "--output", str(answers)])
    rows = [json.loads(line) for line in answers.read_text().splitlines()]
    assert [row["prediction"] for row in rows] == table.column("prediction")
    assert set(rows[0]) == {"id", "text", "topics", "prediction", *(f"probability[{name}]" for name in LABELS)}
    compared = ["compare", str(run), str(again / "predictions" / "test.parquet"), "--format", "json"]
    capsys.readouterr()
    assert not cli.run(compared)
    assert json.loads(capsys.readouterr().out)["identical"]


def test_check_reads_lists_texts_and_columns(files, tmp_path, capsys):
    assert cli.run(["check", str(files), "--label_column", "topics", "--label_separator", "|", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (classes,) = (finding["sentence"] for finding in told["findings"] if finding["check"] == "classes")
    assert classes.startswith("train: toxic 96 (66.7 %), insult 48 (33.3 %), threat 48 (33.3 %)")
    broken = tmp_path / "train.jsonl"
    rows = [{"text": text, "labels": labels} for text, labels in zip(TEXTS, SETS, strict=True)]
    rows[3]["labels"] = ["toxic", 0.5]
    rows[4]["labels"] = ["toxik"]
    broken.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    assert cli.run(["check", str(broken), "--strict", "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert any("no list of labels in 1 of 48 train rows" in finding["sentence"] for finding in found)
    assert any("'toxik' (1 row) is probably 'toxic'" in finding["sentence"] for finding in found)


def test_data_arguments_without_a_train_split_are_refused_as_elsewhere():
    with pytest.raises(InputError, match="no train split"):
        GeneralTextClassification.read(arguments(DataArguments()))
