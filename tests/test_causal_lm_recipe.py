"""recipes/causal_lm.py as a person runs it on texts, completions and chats; then the commands on its runs."""

import contextlib
import io
import json
import random
import re

import pyarrow.parquet
import pytest
import safetensors.torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from llmtune import cli
from llmtune.errors import InputError
from llmtune.predictions import read_predictions
from tests.tasks.causal_lm.models import model_of, tokenizer_of
from tests.tasks.causal_lm.test_chats import CONTROL, QWEN
from tests.test_entity_recipes import run_recipe

NAMES, THINGS = ["Ada", "Ben", "Carla", "Dev"], ["mill", "boat", "lamp", "cart"]
TINY = "hidden_size=32,num_hidden_layers=1,num_attention_heads=2,num_key_value_heads=1,head_dim=16,intermediate_size=64"


@pytest.fixture(scope="module")
def run(demo_run):
    return demo_run("causal_lm")


def scores_of(folder, split="test"):
    return json.loads((folder / "metrics.json").read_text())[split]


def test_the_demo_leaves_likelihoods_scores_and_a_baseline(run):
    table, scores = read_predictions(run / "predictions" / "test.parquet"), scores_of(run)

    assert len(table) == 200
    assert sum(table.column("bytes")) == sum(len(text.encode()) for text in table.column("text"))
    assert set(scores) == {"perplexity", "bits_per_byte", "word_perplexity", "token_accuracy"}
    assert scores["perplexity"]["low"] < scores["perplexity"]["value"] < scores["perplexity"]["high"]
    assert "window:128|stride:1|first:<s>" in scores["perplexity"]["signature"]
    assert "bits_per_byte" in json.loads((run / "metrics.json").read_text())["test/7-gram of bytes"]


def test_validation_perplexity_falls_and_picks_the_checkpoint(run):
    training = json.loads((run / "run.json").read_text())["training"]

    perplexities = [evaluation["eval_perplexity"] for evaluation in training["evaluations"]]
    assert perplexities[-1] < perplexities[0] / 1.5
    assert training["best_checkpoint"]["metric"] == "perplexity"
    assert training["best_checkpoint"]["value"] == min(perplexities)
    kept = scores_of(run, "validation")["perplexity"]["value"]
    assert kept == pytest.approx(min(perplexities), rel=1e-5)
    losses = [evaluation["curves"]["validation"]["loss"] for evaluation in training["evaluations"]]
    assert 2.718281828 ** losses[-1] == pytest.approx(perplexities[-1], rel=1e-4)


def test_the_same_prompts_are_answered_at_each_evaluation_in_the_report_and_in_tensorboard(run):
    evaluations = json.loads((run / "run.json").read_text())["training"]["evaluations"]

    prompts = [[sample["prompt"] for sample in evaluation["samples"]] for evaluation in evaluations]
    assert len(prompts[0]) == 3
    assert prompts == [prompts[0]] * 4
    page = (run / "report.html").read_text()
    for heading in ("Written in training, after the same prompts", "Predicted worst", "Predicted best"):
        assert heading in page
    assert "perplexity on validation" in page
    logs = [EventAccumulator(str(path), {"tensors": 0}).Reload() for path in run.rglob("events.out.tfevents.*")]
    name = "eval/samples/text_summary"
    (log,) = (log for log in logs if name in log.Tags()["tensors"])
    texts = [event.tensor_proto.string_val[0].decode() for event in log.Tensors(name)]
    assert len(texts) == 4
    assert prompts[0][0] in texts[0]


def test_its_continuations_are_checked_and_read_again_by_report(run, tmp_path):
    checks = {check["check"]: check for check in json.loads((run / "verdict.json").read_text())["checks"]}
    table = read_predictions(run / "predictions" / "continuations" / "test.parquet")

    assert checks["degenerate_output"]["status"] in ("pass", "fail")
    texts = read_predictions(run / "predictions" / "test.parquet").column("text")
    pairs = zip(table.column("source"), table.column("reference"), strict=True)
    assert [source + reference for source, reference in pairs] == texts[: len(table)]

    cli.run(["report", str(run), "--output_dir", str(tmp_path / "again")])
    again = json.loads((tmp_path / "again" / "verdict.json").read_text())["checks"]
    assert {check["check"]: check for check in again}["degenerate_output"] == checks["degenerate_output"]


def test_evaluate_gives_the_runs_numbers_and_predict_those_of_each_row(run, tmp_path):
    table = read_predictions(run / "predictions" / "test.parquet")
    texts = tmp_path / "texts.jsonl"
    texts.write_text("\n".join(json.dumps({"text": text}) for text in table.column("text")))

    cli.run(["evaluate", "--model", str(run), "--test_file", str(texts), "--output_dir", str(tmp_path / "scores")])
    cli.run(["predict", "--model", str(run), "--input", str(texts), "--output", str(tmp_path / "rows.parquet")])

    values = [scores_of(folder)["perplexity"]["value"] for folder in (tmp_path / "scores", run)]
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    nll = pyarrow.parquet.read_table(tmp_path / "rows.parquet").column("nll").to_pylist()
    assert nll == pytest.approx(table.column("nll"), rel=1e-5)


def test_a_checkpoint_made_elsewhere_is_scored_in_windows_like_those_of_a_run_and_compared_with_it(
    run, tmp_path, capsys
):
    base = tmp_path / "base"
    base.mkdir()
    for path in run.iterdir():
        if path.suffix in (".json", ".safetensors") and path.name not in ("run.json", "metrics.json", "verdict.json"):
            (base / path.name).write_bytes(path.read_bytes())
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({name: value for name, value in config.items() if name != "llmtune"}))
    rows = tmp_path / "rows.txt"
    texts = read_predictions(run / "predictions" / "test.parquet").column("text")
    rows.write_text("\n\n".join(texts))

    windows = ["--max_length", "128", "--stride", "1"]
    cli.run(["evaluate", "--model", str(base), "--test_file", str(rows), *windows, "--output_dir", str(tmp_path / "b")])

    signatures = [scores_of(folder)["perplexity"]["signature"] for folder in (tmp_path / "b", run)]
    assert signatures[0] == signatures[1]
    assert not cli.run(["compare", str(tmp_path / "b"), str(run), "--fail-if-worse"])


def test_other_tasks_read_rows_as_in_their_training(demo_run, tmp_path):
    with pytest.raises(InputError, match="--stride: a text-classification model reads rows as in its training; leave"):
        cli.run(
            ["evaluate", "--model", str(demo_run("spam")), "--test_file", "x.csv", "--stride", "3"]
            + ["--output_dir", str(tmp_path / "b")]
        )


def test_the_cards_code_scores_a_text_as_the_run_did(run, monkeypatch):
    table = read_predictions(run / "predictions" / "test.parquet")
    code = re.search(r"```python\n(.*?)```", (run / "README.md").read_text(), re.DOTALL)[1]
    monkeypatch.chdir(run)

    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(
            compile(code.replace('"Write here a text to score."', repr(table.column("text")[0])), "README.md", "exec"),
            {},
        )

    bits = table.column("nll")[0] / 0.6931471805599453 / table.column("bytes")[0]
    assert out.getvalue() == f"{table.column('nll')[0]:.3f} nats, {bits:.3f} bits per byte\n"


def story(draw):
    return f"{draw.choice(NAMES)} took the {draw.choice(THINGS)} to {draw.choice(NAMES)} and the {draw.choice(THINGS)}"


@pytest.fixture(scope="module")
def stories(tmp_path_factory):
    """train, validation and test.jsonl in three formats: a question about a short story."""
    folder, draw = tmp_path_factory.mktemp("stories"), random.Random(0)
    for split, n in (("train", 120), ("validation", 20), ("test", 30)):
        rows = []
        for number in range(n):
            text = f"{split} {number}: {story(draw)}"
            prompt, answer = f"{text}. Who took it?", text.split()[2]
            chat = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
            rows.append({"text": text, "prompt": prompt, "completion": answer, "messages": chat, "kind": answer})
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def flags_of(stories, folder):
    files = [
        part for split in ("train", "validation", "test") for part in (f"--{split}_file", f"{stories / split}.jsonl")
    ]
    sizes = ["--max_length", "64", "--max_new_tokens", "4", "--per_device_train_batch_size", "4"]
    training = ["--learning_rate", "1e-2", "--num_train_epochs", "2", "--cpu_threads", "1", "--slice_columns", "kind"]
    return [*files, *sizes, *training, "--output_dir", str(folder)]


@pytest.fixture(scope="module")
def lora_run(stories, tmp_path_factory):
    """Mistral from scratch on prompts with completions, under LoRA."""
    folder = tmp_path_factory.mktemp("lora") / "run"
    model = ["--model_type", "mistral", "--config_overrides", TINY, "--tokenizer_vocab_size", "300", "--use_peft"]
    flags = [*flags_of(stories, folder), *model, "--input_format", "prompt_completion"]
    assert run_recipe("causal_lm.py", *flags) == 0
    return folder


def test_a_run_on_completions_scores_them_alone_by_slice_too(lora_run):
    table = read_predictions(lora_run / "predictions" / "test.parquet")

    assert set(table.column("text")) <= set(NAMES)
    assert table.column("bytes") == [len(text) for text in table.column("text")]
    page = (lora_run / "report.html").read_text()
    assert "bits_per_byte" in page
    assert all(name in page for name in set(table.column("kind")))


def test_prompts_are_answered_by_predict(lora_run, stories, tmp_path):
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("\n".join(json.dumps({"ask": f"{name} took it. Who took it?"}) for name in NAMES))

    cli.run(
        ["predict", "--model", str(lora_run), "--input", str(prompts), "--prompt_column", "ask"]
        + ["--output", str(tmp_path / "answers.jsonl")]
    )

    rows = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [row["ask"] for row in rows] == [f"{name} took it. Who took it?" for name in NAMES]
    assert all(isinstance(row["prediction"], str) and isinstance(row["ended"], bool) for row in rows)


def test_a_merged_model_scores_the_runs_rows_as_the_run_did_or_is_refused(lora_run, tmp_path, capsys):
    cli.run(["merge", str(lora_run), "--output_dir", str(tmp_path / "plain")])
    printed = " ".join(capsys.readouterr().out.split())
    assert re.search(
        r"saved_model: Loaded in a fresh process, it answers 30 test rows as the run did: [\d.]+ nats", printed
    )

    # The run's table says other nats than its weights give, as if those had been lost on the way.
    other = tmp_path / "other"
    other.mkdir()
    for path in lora_run.rglob("*"):
        target = other / path.relative_to(lora_run)
        target.mkdir(exist_ok=True) if path.is_dir() else target.write_bytes(path.read_bytes())
    weights = safetensors.torch.load_file(other / "adapter_model.safetensors")
    safetensors.torch.save_file({k: w * 1.5 for k, w in weights.items()}, other / "adapter_model.safetensors")
    message = r"other: merged, it is another model; nothing was written\. .* otherwise.*, [\d.]+ nats of 30 rows, "
    with pytest.raises(InputError, match=message):
        cli.run(["merge", str(other), "--output_dir", str(tmp_path / "drifted")])
    assert not (tmp_path / "drifted").exists()


def test_a_checkpoint_learns_chats_in_its_own_template(stories, tmp_path):
    texts = [json.loads(line)["text"] for line in (stories / "train.jsonl").read_text().splitlines()]
    tokenizer = tokenizer_of("qwen2", texts, special=CONTROL[QWEN])
    tokenizer.chat_template = QWEN
    tokenizer.save_pretrained(tmp_path / "base")
    model_of("qwen2", tokenizer, initializer_range=0.02).save_pretrained(tmp_path / "base")
    run = tmp_path / "run"
    flags = [*flags_of(stories, run), "--model_name_or_path", str(tmp_path / "base"), "--input_format", "messages"]

    assert run_recipe("causal_lm.py", *flags) == 0

    table = read_predictions(run / "predictions" / "test.parquet")
    assert set(table.column("text")) <= set(NAMES)
    assert table.settings["unscored_tokens"] == 30  # the <|im_end|> of each answer
    assert scores_of(run)["perplexity"]["value"] < 30  # of about 300 tokens: it learned that a name comes
    cli.run(
        ["evaluate", "--model", str(run), "--test_file", str(stories / "test.jsonl")]
        + ["--output_dir", str(tmp_path / "scores")]
    )
    values = [scores_of(folder)["perplexity"]["value"] for folder in (tmp_path / "scores", run)]
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    assert '{"role": "user", "content": text}' in (run / "README.md").read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--max_length", "1"], "--max_length 1: expected 2 or more"),
        (["--stride", "0"], "--stride 0: expected 1 or more"),
        (["--stride", "64", "--max_length", "64"], "--stride 64: windows of 64 tokens share fewer than that"),
    ],
)
def test_lengths_that_cannot_be_are_refused_before_anything_is_loaded(stories, tmp_path, capsys, flags, message):
    flags = [*flags_of(stories, tmp_path / "run"), "--model_type", "llama", *flags]

    assert run_recipe("causal_lm.py", *flags) == 2
    assert message in capsys.readouterr().err
