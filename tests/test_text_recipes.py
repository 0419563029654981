"""recipes/translation.py and recipes/summarization.py as a person runs them; then `evaluate`, `predict`, `merge`."""

import contextlib
import io
import json
import os
import random
import re
import subprocess

import pytest
import sacrebleu

from llmtune import cli
from llmtune.predictions import read_predictions
from tests.test_entity_recipes import ON_TWO, RECIPES, run_recipe

NUMBERS = {"one": "un", "two": "deux", "three": "trois", "four": "quatre", "five": "cinq", "six": "six", "ten": "dix"}
BART = "d_model=32,encoder_layers=1,decoder_layers=1,encoder_attention_heads=2,decoder_attention_heads=2,"
SIZES = {
    "marian": f"{BART}encoder_ffn_dim=64,decoder_ffn_dim=64",
    "t5": "d_model=32,d_kv=16,d_ff=64,num_layers=1,num_decoder_layers=1,num_heads=2",
    "bert": "hidden_size=32,num_attention_heads=2,intermediate_size=64,num_hidden_layers=1",
    "llama": "hidden_size=32,num_hidden_layers=1,num_attention_heads=2,num_key_value_heads=1,head_dim=16,"
    "intermediate_size=64",
}


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """train, validation and test.jsonl: numbers in English and French, no source twice."""
    folder, draw = tmp_path_factory.mktemp("numbers"), random.Random(0)
    seen = set()
    for split, rows in (("train", 240), ("validation", 24), ("test", 35)):
        lines = []
        while len(lines) < rows:
            words = draw.choices(list(NUMBERS), k=draw.randint(2, 6))
            if tuple(words) not in seen:
                seen.add(tuple(words))
                french = " ".join(NUMBERS[word] for word in words)
                lines.append(json.dumps({"translation": {"en": " ".join(words), "fr": french}, "kind": len(words)}))
        (folder / f"{split}.jsonl").write_text("\n".join(lines))
    return folder


def flags_of(numbers, folder, model_type):
    files = [
        part for split in ("train", "validation", "test") for part in (f"--{split}_file", f"{numbers / split}.jsonl")
    ]
    columns = ["--source_column", "translation.en", "--target_column", "translation.fr", "--target_lang", "fr"]
    model = ["--model_type", model_type, "--config_overrides", SIZES[model_type], "--tokenizer_vocab_size", "300"]
    lengths = ["--max_source_length", "32", "--max_target_length", "16"]
    training = ["--learning_rate", "1e-2", "--num_train_epochs", "3", "--per_device_train_batch_size", "16"]
    return [*files, *columns, *model, *lengths, *training, "--cpu_threads", "1", "--output_dir", str(folder)]


@pytest.fixture(scope="module")
def runs(numbers, tmp_path_factory):
    """A run of each family; the decoder under LoRA, searched with two beams."""
    made = {}
    for model_type in SIZES:
        folder = tmp_path_factory.mktemp("runs") / model_type
        more = ["--use_peft", "--num_beams", "2"] if model_type == "llama" else ["--slice_columns", "kind"]
        assert run_recipe("translation.py", *flags_of(numbers, folder, model_type), *more) == 0
        made[model_type] = folder
    return made


@pytest.mark.parametrize("model_type", SIZES)
def test_a_run_leaves_its_numbers_its_baseline_and_its_verdict(runs, model_type):
    run = runs[model_type]
    scores = json.loads((run / "metrics.json").read_text())["test"]
    table = read_predictions(run / "predictions" / "test.parquet")

    assert len(table) == scores["bleu"]["n"] == 35
    assert table.column("source")[0].split()[0] in NUMBERS
    ours = sacrebleu.corpus_bleu(table.column("prediction"), [table.column("reference")])
    assert scores["bleu"]["value"] == pytest.approx(ours.score, abs=1e-9)
    assert scores["bleu"]["signature"].startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert (run / "predictions" / "baselines" / "copy_source.parquet").exists()
    checks = {check["check"]: check for check in json.loads((run / "verdict.json").read_text())["checks"]}
    assert "copy-source" in checks["baseline"]["numbers"]
    facts = json.loads((run / "run.json").read_text())
    assert 0 < json.loads((run / "metrics.json").read_text())["test/copy-source"]["chrf"]["value"] < 60
    assert facts["truncated"] == facts["truncated_targets"] == {"train": 0, "validation": 0, "test": 0}
    assert len(facts["training"]["evaluations"]) == 3
    assert facts["training"]["evaluations"][0]["samples"][0]["reference"].split()[0] in NUMBERS.values()
    assert (run / "report.html").exists()
    assert "pipeline_tag: translation" in (run / "README.md").read_text()


def test_validation_loss_is_of_all_tokens_and_curves_share_its_scale(runs):
    facts = json.loads((runs["marian"] / "run.json").read_text())

    for evaluation in facts["training"]["evaluations"]:
        assert evaluation["curves"]["validation"]["loss"] == pytest.approx(evaluation["eval_loss"], rel=1e-5)
        assert evaluation["curves"]["validation"]["score"] == evaluation["eval_bleu"]


@pytest.mark.parametrize("model_type", SIZES)
def test_evaluate_and_predict_answer_as_the_recipe_did(runs, numbers, tmp_path, model_type):
    run = runs[model_type]
    first = read_predictions(run / "predictions" / "test.parquet").column("prediction")
    data = ["--test_file", str(numbers / "test.jsonl"), "--target_column", "translation.fr"]

    source = ["--source_column", "translation.en", "--per_device_eval_batch_size", "7", "--cpu_threads", "1"]
    cli.run(["evaluate", "--model", str(run), *data, *source, "--output_dir", str(tmp_path / "again")])
    cli.run(
        [
            "predict",
            "--model",
            str(run),
            "--input",
            str(numbers / "test.jsonl"),
            *source,
            "--output",
            str(tmp_path / "p.jsonl"),
        ]
    )

    again = read_predictions(tmp_path / "again" / "predictions" / "test.parquet").column("prediction")
    answers = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert again == first
    assert [answer["prediction"] for answer in answers] == first
    assert set(answers[0]) == {"id", "translation", "kind", "source", "prediction", "ended"}


def test_merged_weights_of_an_adapter_write_the_same(runs, numbers, tmp_path):
    run = runs["llama"]
    cli.run(["merge", str(run), "--output_dir", str(tmp_path / "merged")])

    flags = ["--source_column", "translation.en", "--target_column", "translation.fr", "--cpu_threads", "1"]
    cli.run(
        [
            "evaluate",
            "--model",
            str(tmp_path / "merged"),
            "--test_file",
            str(numbers / "test.jsonl"),
            *flags,
            "--output_dir",
            str(tmp_path / "again"),
        ]
    )

    for folder in (run, run / "base_model", tmp_path / "merged"):  # plain `generate` is asked what evaluation asked
        search = json.loads((folder / "generation_config.json").read_text())
        assert (search["num_beams"], search["max_new_tokens"]) == (2, 16)
    first, again = (read_predictions(folder / "predictions" / "test.parquet") for folder in (run, tmp_path / "again"))
    assert again.column("prediction") == first.column("prediction")


@pytest.mark.parametrize("model_type", SIZES)
def test_the_code_of_the_card_writes_what_predict_writes(runs, tmp_path, monkeypatch, model_type):
    run = runs[model_type]
    code = re.search(r"```python\n(.*?)```", (run / "README.md").read_text(), re.DOTALL)[1]
    code = code.replace("Write here a text for the model.", "one two three").replace("And a second text.", "ten")
    (tmp_path / "in.jsonl").write_text("\n".join(json.dumps({"source": text}) for text in ("one two three", "ten")))
    cli.run(
        [
            "predict",
            "--model",
            str(run),
            "--input",
            str(tmp_path / "in.jsonl"),
            "--output",
            str(tmp_path / "p.jsonl"),
            "--cpu_threads",
            "1",
        ]
    )
    answers = [json.loads(line)["prediction"] for line in (tmp_path / "p.jsonl").read_text().splitlines()]

    monkeypatch.chdir(run)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, "card", "exec"), {})  # noqa: S102 - the code that a person pastes

    assert said.getvalue().splitlines() == answers


def test_two_processes_leave_one_report_of_every_row(numbers, tmp_path):
    flags = flags_of(numbers, tmp_path / "run", "marian")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(RECIPES.parent)}
    done = subprocess.run(
        [*ON_TWO, str(RECIPES / "translation.py"), *flags, "--num_train_epochs", "1"],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert "missing keys" not in done.stderr, "tied weights are saved once"
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["training"]["processes"] == 2
    rows = [json.loads(line)["translation"]["en"] for line in (numbers / "test.jsonl").read_text().splitlines()]
    assert read_predictions(tmp_path / "run" / "predictions" / "test.parquet").column("source") == rows
    assert done.stdout.count("Test: 35 rows") == 1


def test_several_references_and_long_texts_are_summarized(tmp_path):
    draw = random.Random(1)
    for split, rows in (("train", 120), ("validation", 20), ("test", 31)):
        lines = []
        for row in range(rows):
            name = draw.choice(["Anna", "Ben", "Clara"])
            text = f"{split} {row}. It rained. {name} came by train. " + "Nothing else was seen. " * (
                40 if row == 0 else 3
            )
            lines.append(json.dumps({"document": text, "summary": [f"{name} came.", f"By train came {name}."]}))
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    files = [
        part for split in ("train", "validation", "test") for part in (f"--{split}_file", f"{tmp_path / split}.jsonl")
    ]
    model = ["--model_type", "llama", "--config_overrides", SIZES["llama"], "--tokenizer_vocab_size", "300"]
    lengths = ["--max_source_length", "64", "--max_target_length", "16"]

    folder = tmp_path / "run"
    flags = [*files, *model, *lengths, "--num_train_epochs", "2", "--cpu_threads", "1", "--output_dir", str(folder)]
    assert run_recipe("summarization.py", *flags) == 0

    facts = json.loads((folder / "run.json").read_text())
    assert facts["truncated"] == {"train": 1, "validation": 1, "test": 1}
    assert facts["model"]["family"] == "decoder"
    scores = json.loads((folder / "metrics.json").read_text())["test"]
    assert {"rouge1", "rouge2", "rougeL", "rougeLsum", "length_ratio"} <= set(scores)
    assert (folder / "predictions" / "baselines" / "lead_3.parquet").exists()
    assert len(read_predictions(folder / "predictions" / "test.parquet").column("reference")[0]) == 2


@pytest.mark.parametrize(
    ("row", "flags", "message"),
    [
        ({"source": "a", "target": ""}, [], "train.jsonl line 1: found '' in column 'target', expected"),
        ({"source": "a", "target": []}, [], "expected a text or a list of texts; write the target, or delete"),
        ({"source": ["a", "b"], "target": "c"}, [], "is a list, expected one text; join its parts"),
        ({"source": "a", "target": "b"}, ["--target_column", "source"], "--source_column and --target_column are both"),
        ({"source": "a", "target": "b"}, ["--metrics", "accuracy"], "--metrics accuracy"),
        ({"source": "a", "target": "b"}, ["--targets", "bluu>=3"], "bluu"),
        ({"source": "a", "target": "b"}, ["--model_type", "mbart"], "--model_type mbart: is not built from scratch"),
        ({"source": "a", "target": "b"}, ["--model_type", "bert", "--use_peft"], "--use_peft: of a pair of encoders"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_before_any_training(tmp_path, capsys, row, flags, message):
    for split in ("train", "validation", "test"):
        good = [{"source": f"{split} {i}", "target": "b b b b"} for i in range(3)]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, [row, *good])))
    files = [
        part for split in ("train", "validation", "test") for part in (f"--{split}_file", f"{tmp_path / split}.jsonl")
    ]
    model = [] if "--model_type" in flags else ["--model_type", "marian"]

    assert run_recipe("translation.py", *files, *model, *flags, "--output_dir", str(tmp_path / "run")) == 2

    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
