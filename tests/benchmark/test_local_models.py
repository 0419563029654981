import importlib.util
import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from scipy.stats import binomtest

from llmtune import cli
from llmtune.benchmark.classification import named_label
from llmtune.benchmark.language_models import LocalModel
from llmtune.benchmark.run import benchmark_tasks, table_file
from llmtune.benchmark.task import TaskOptions
from llmtune.errors import InputError
from llmtune.predictions import read_predictions
from tests.benchmark.conftest import TEMPLATE, labeled_rows, write_rows
from tests.commands.conftest import spam_model  # noqa: F401 - a fixture

CHOICES = [
    {"question": "win a prize", "choices": ["spam", "ham"], "answer": 0},
    {"question": "see you at", "choices": ["spam", "lunch", "noon"], "answer": "B"},
    {"question": "the old", "choices": ["mill", "miller", "sacks of grain"], "answer": "mill"},
    {"question": "call", "choices": ["now", "now", "me when you are home"], "answer": 1},  # a tie: the first is taken
]
needs_lm_eval = pytest.mark.skipif(
    importlib.util.find_spec("lm_eval") is None, reason="lm_eval is not installed: pip install 'llmtune[benchmark]'"
)


def benchmark(folder, models, tasks, *more):
    code = cli.run(
        [
            "benchmark",
            "--models",
            *map(str, models),
            "--tasks",
            *tasks,
            "--output_dir",
            str(folder),
            "--speed_requests",
            "0",
            *more,
        ]
    )
    return code, json.loads((folder / "benchmark.json").read_text())


@pytest.fixture(scope="module")
def on_classes(llama, spam_model, labeled, train_rows, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("benchmark") / "classes"
    flags = ["--train_file", str(train_rows), "--prompt_template", TEMPLATE, "--targets", "accuracy>=0.5"]
    return folder, *benchmark(folder, [spam_model, llama, "baselines"], [f"classification={labeled}"], *flags)


def test_fine_tuned_prompted_and_simple_models_stand_in_one_table_on_the_same_rows(on_classes, labeled):
    folder, code, content = on_classes
    (task,) = content["tasks"]
    rows = [json.loads(line) for line in labeled.read_text().splitlines()]

    assert code == 0
    assert [each["way"] for each in task["models"]] == ["fine-tuned", "prompted", "baseline", "baseline"]
    assert task["data"]["rows"] == 60
    tables = [read_predictions(path) for path in sorted((folder / "predictions" / "classification").glob("*"))]
    assert len(tables) == 4
    assert all(table.column("reference") == [row["label"] for row in rows] for table in tables)
    for each in task["models"]:
        assert {"value", "low", "high", "n", "signature"} == set(each["metrics"]["f1"])
        assert each["verdict"] in ("ready", "not_ready", "not_enough_data", "no_target")


def test_likelihoods_are_those_of_whole_logits_which_are_never_made(llama):
    pairs = [("win a", " prize now"), ("", "see you at lunch"), ("the old", " mill")]
    model = LocalModel(str(llama), batch_size=3)
    made = []
    model.model.get_output_embeddings().register_forward_hook(lambda *call: made.append(type(call[2]).__name__))

    pending = model.likelihoods(pairs)
    model.leaves_logits_pending = False
    whole = model.likelihoods(pairs)

    assert made == ["PendingLogits", "Tensor"]
    assert [each.nats for each in pending] == pytest.approx([each.nats for each in whole], rel=1e-6)
    assert [each.tokens for each in pending] == [each.tokens for each in whole]


def test_every_model_is_compared_with_the_first_and_with_the_best(on_classes):
    (task,) = on_classes[2]["tasks"]
    first, best = task["models"][0]["model"], task["ranked"][0]
    pairs = [(pair["a"], pair["b"]) for pair in task["pairs"]]

    assert {b for a, b in pairs if a == first} == {each["model"] for each in task["models"]} - {first}
    assert {b for a, b in pairs if a == best} | {first} >= {each["model"] for each in task["models"]} - {best}
    assert task["correction"] == "Bonferroni over 6 pairs"
    assert {pair["comparison"]["level"] for pair in task["pairs"]} == {1 - 0.05 / 6}


def test_corrected_p_values_are_those_of_mcnemar_times_the_pairs(on_classes):
    folder, _, content = on_classes
    (task,) = content["tasks"]
    right = {}
    for model in task["models"]:
        table = read_predictions(table_file(folder, "classification", model["model"]))
        right[model["model"]] = np.array(table.column("prediction")) == np.array(table.column("reference"))

    for pair in task["pairs"]:
        a, b = right[pair["a"]], right[pair["b"]]
        only = [int((a & ~b).sum()), int((b & ~a).sum())]
        expected = min(1.0, 6 * binomtest(only[0], sum(only), 0.5).pvalue) if sum(only) else 1.0
        assert pair["p"] == pytest.approx(expected)
    assert any(pair["outcome"] in ("better", "worse") for pair in task["pairs"])


def test_the_prompt_is_kept_with_a_hash_that_follows_its_text(on_classes, llama, labeled, train_rows, tmp_path):
    prompt = on_classes[2]["tasks"][0]["prompt"]
    flags = ["--prompt_template", TEMPLATE, "--train_file", str(train_rows), "--num_fewshot", "2"]
    shown = benchmark(tmp_path / "few", [llama], [f"classification={labeled}"], *flags)[1]["tasks"][0]["prompt"]

    assert prompt["template"] == TEMPLATE
    assert prompt["demonstrations"] == ""
    assert len(prompt["sha256"]) == 64
    assert shown["sha256"] != prompt["sha256"]
    assert sorted(line for line in shown["demonstrations"].splitlines() if line.startswith("Label")) == [
        "Label: ham",
        "Label: spam",
    ]  # one of each class


def test_a_line_break_in_a_template_may_be_typed_as_a_shell_hands_it_on(on_classes, llama, labeled, tmp_path):
    flags = ["--prompt_template", r"{text}\nLabel:", "--max_eval_samples", "4"]
    prompt = benchmark(tmp_path / "b", [llama], [f"classification={labeled}"], *flags)[1]["tasks"][0]["prompt"]

    assert prompt == on_classes[2]["tasks"][0]["prompt"]


def test_the_likelihood_of_labels_is_that_of_the_model_itself(llama):
    tokenizer = transformers.AutoTokenizer.from_pretrained(llama)
    model = transformers.AutoModelForCausalLM.from_pretrained(llama)
    context, answer = "win a prize now\nLabel:", " spam"

    ids = tokenizer(context + answer, return_tensors="pt")["input_ids"]
    given = len(tokenizer(context)["input_ids"])
    with torch.no_grad():
        logs = model(ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
    ours, alone = LocalModel(str(llama), batch_size=4), LocalModel(str(llama), batch_size=1)
    pairs = [(context, answer), ("see you at lunch thanks for the offer\nLabel:", " ham"), ("", "call me")]

    assert ours.likelihoods(pairs)[0].nats == pytest.approx(-float(logs[given - 1 :].sum()), abs=1e-4)
    assert ours.likelihoods(pairs)[0].tokens == len(ids[0]) - given
    for a, b in zip(ours.likelihoods(pairs), alone.likelihoods(pairs), strict=True):
        assert a.nats == pytest.approx(b.nats, abs=1e-4)


def test_classes_by_generation_count_what_names_no_label(llama, labeled, tmp_path):
    flags = ["--prompt_template", TEMPLATE, "--scoring", "generation", "--max_new_tokens", "3"]
    _, content = benchmark(tmp_path / "a", [llama], [f"classification={labeled}"], *flags)
    _, nonsense = benchmark(
        tmp_path / "b", [llama], [f"classification={labeled}"], "--scoring", "generation", "--prompt_template", "{text}"
    )

    assert content["tasks"][0]["models"][0]["metrics"]["accuracy"]["value"] > 0.6
    table = read_predictions(next((tmp_path / "b" / "predictions" / "classification").iterdir()))
    unnamed = [not text.strip().casefold().startswith(("ham", "spam")) for text in table.column("answer")]
    assert any(unnamed)
    assert f"answers that name no label: {sum(unnamed)} of 60" in nonsense["tasks"][0]["models"][0]["notes"][-1]
    wrong = [a != b for a, b in zip(table.column("prediction"), table.column("reference"), strict=True)]
    assert all(is_wrong for is_wrong, without in zip(wrong, unnamed, strict=True) if without)


def test_texts_are_scored_as_evaluate_does_and_byte_models_compare_by_bits(llama, train_rows, labeled, tmp_path):
    _, content = benchmark(
        tmp_path / "b", [llama, "baselines"], [f"perplexity={labeled}"], "--train_file", str(train_rows)
    )
    cli.run(["evaluate", "--model", str(llama), "--test_file", str(labeled), "--output_dir", str(tmp_path / "e")])
    (task,) = content["tasks"]
    alone = json.loads((tmp_path / "e" / "metrics.json").read_text())["test"]

    assert task["models"][0]["metrics"]["perplexity"]["value"] == pytest.approx(alone["perplexity"]["value"], rel=1e-6)
    assert task["main_metric"] == "bits_per_byte"
    assert any("their perplexities do not compare, bits_per_byte do" in line for line in task["cautions"])
    assert any("perplexity alone decides nothing" in line for line in task["cautions"])


def test_a_prompted_model_translates_and_answers_beside_the_simple_ones(llama, tmp_path):
    pairs = write_rows(
        tmp_path / "pairs.jsonl", [{"source": row["text"], "target": row["text"]} for row in labeled_rows(6)]
    )
    questions = [
        {"question": "when?", "context": "the meeting is at noon", "answers": {"text": ["noon"], "answer_start": [18]}}
    ] * 4
    asked = write_rows(tmp_path / "questions.jsonl", questions)
    tasks = [f"translation={pairs}", f"question-answering={asked}"]

    _, content = benchmark(tmp_path / "b", [llama, "baselines"], tasks, "--max_new_tokens", "4")

    translation, answers = content["tasks"]
    assert [each["model"] for each in translation["models"]] == [str(llama), "copy-source"]
    assert translation["models"][1]["metrics"]["bleu"]["value"] == pytest.approx(100)
    assert [each["model"] for each in answers["models"]] == [str(llama), "best-overlap sentence"]
    table = read_predictions(next((tmp_path / "b" / "predictions" / "translation").glob("*tiny*")))
    assert all("\n" not in text for text in table.column("prediction"))


def test_equal_choices_are_counted_and_the_first_is_taken(llama, tmp_path):
    rows = write_rows(tmp_path / "choices.jsonl", CHOICES)
    _, content = benchmark(tmp_path / "b", [llama], [f"choices={rows}"])
    (model,) = content["tasks"][0]["models"]
    table = read_predictions(next((tmp_path / "b" / "predictions" / "choices").iterdir()))

    assert table.column("reference") == ["0", "1", "0", "1"]
    if table.column("tie")[3]:  # unless the third choice is more probable still
        assert table.column("prediction")[3] == "0"
    assert set(model["metrics"]) >= {"accuracy", "acc_norm"}


@needs_lm_eval
def test_choices_are_those_of_lm_eval(llama, tmp_path):
    from lm_eval import evaluator
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.models.huggingface import HFLM

    draw = np.random.default_rng(0)
    words = ["now", "lunch", "noon", "a prize now", "the old mill", "grain", "home", "free cash", "ham", "spam call"]
    rows = [
        {
            "question": row["text"],
            "choices": [words[i] for i in draw.choice(len(words), 3 + number % 2, replace=False)]
            if number % 5
            else ["now"] * 3,
            "answer": int(draw.integers(0, 3)),
        }
        for number, row in enumerate(labeled_rows(40, seed=3))
    ]
    path = write_rows(tmp_path / "choices.jsonl", rows)
    task = ConfigurableTask(
        config={
            "task": "ours",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(path)}},
            "test_split": "test",
            "output_type": "multiple_choice",
            "doc_to_text": "Question: {{question}}\nAnswer:",
            "doc_to_choice": "{{choices}}",
            "doc_to_target": "{{answer}}",
            "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
        }
    )
    model = HFLM(pretrained=str(llama), device="cpu", batch_size=4, dtype="float32")
    theirs = evaluator.evaluate(lm=model, task_dict={"ours": task}, bootstrap_iters=0)

    _, content = benchmark(tmp_path / "b", [llama], [f"choices={path}"])

    ours = content["tasks"][0]["models"][0]["metrics"]
    table = read_predictions(next((tmp_path / "b" / "predictions" / "choices").iterdir()))
    assert any(table.column("tie"))
    assert ours["accuracy"]["value"] == pytest.approx(theirs["results"]["ours"]["acc,none"])
    assert ours["acc_norm"]["value"] == pytest.approx(theirs["results"]["ours"]["acc_norm,none"])
    samples = sorted(theirs["samples"]["ours"], key=lambda sample: sample["doc_id"])
    places = [int(np.argmax([nats for nats, *_ in sample["filtered_resps"]])) for sample in samples]
    assert [int(place) for place in table.column("prediction")] == places


def test_a_prompt_that_is_too_long_loses_its_beginning_and_is_counted(llama, tmp_path):
    long = write_rows(tmp_path / "long.jsonl", [{"text": "call me " * 80, "label": "ham"}, *labeled_rows(5, seed=2)])
    _, content = benchmark(tmp_path / "b", [llama], [f"classification={long}"], "--prompt_template", TEMPLATE)

    (model,) = content["tasks"][0]["models"]
    assert "prompts longer than the 96 tokens that the model reads: 2, without their beginnings" in model["notes"]


def test_a_chat_model_is_asked_in_its_own_template(llama, labeled, tmp_path):
    tokenizer = transformers.AutoTokenizer.from_pretrained(llama)
    tokenizer.chat_template = "{% for turn in messages %}{{ turn.content }}{% endfor %}"  # the prompt as it is
    shutil.copytree(llama, tmp_path / "chat")
    tokenizer.save_pretrained(tmp_path / "chat")
    flags = ["--prompt_template", TEMPLATE, "--use_chat_template"]

    _, content = benchmark(tmp_path / "b", [tmp_path / "chat"], [f"classification={labeled}"], *flags)
    model = LocalModel(str(tmp_path / "chat"), batch_size=2, is_chat=True)
    ids, begin = model.encode("win a prize now\nLabel:", " spam")

    assert content["tasks"][0]["prompt"]["is_chat"] is True
    assert len(content["tasks"][0]["models"][0]["metrics"]) > 5
    assert tokenizer.decode(ids[begin:]) == " spam"
    assert ids == tokenizer("win a prize now\nLabel: spam", add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--tasks", "guessing=x"], "--tasks 'guessing=x': expected TASK=FILE, where TASK is one of classification"),
        (["--tasks", "choices"], "--tasks 'choices': no file of labeled rows; write choices=FILE"),
        (["--tasks", "{c}", "{c}"], "classification is named twice; run the benchmark once for each file"),
        (
            ["--models", "a", "a"],
            "--models: a is named twice, or its predictions would lie in the file of another model, a.parquet",
        ),
        (["--scoring", "luck"], "--scoring 'luck': expected one of likelihood, generation, decision"),
        (["--num_fewshot", "-1"], "--num_fewshot -1: expected 0 or more demonstrations"),
        (["--num_fewshot", "2"], "the demonstrations are rows of train; add --train_file FILE"),
        (["--prompt_template", "{text"], "write {{ for a brace of the prompt"),
        (["--prompt_template", "{mood}"], r"{mood} is no field of this task; it may hold {text}, {labels}"),
        (["--prompt_template", "tell"], "no field of the row stands in it; it may hold"),
        (["--positive_label", "eggs"], "--positive_label 'eggs': is none of the labels ham, spam of"),
        (["--models", "baselines"], "the simple models are trained on the rows of train; add"),
        (["--models", "baselines", "--tasks", "{p}"], "n-gram model is trained on the texts of train; add"),
        (["--use_chat_template"], "has no chat template; leave the flag out, or take the instruction-tuned checkpoint"),
        (["--targets", "bleu>=3"], "no task of this benchmark has the metric 'bleu'; there are"),
    ],
)
def test_what_can_not_be_is_refused_by_name(flags, message, llama, labeled, tmp_path):
    given = {"--models": [str(llama)], "--tasks": ["{c}"], "--output_dir": [str(tmp_path / "out")]}
    given |= {flags[0]: flags[1:]} if "--tasks" not in flags[1:] else {flags[0]: flags[1:2], "--tasks": flags[3:]}
    paths = {"{c}": f"classification={labeled}", "{p}": f"perplexity={labeled}"}

    with pytest.raises(InputError) as refused:
        cli.run(["benchmark", *[paths.get(text, text) for flag, texts in given.items() for text in (flag, *texts)]])

    assert message in str(refused.value)


def test_rows_and_folders_that_can_not_be_are_refused(llama, spam_model, labeled, tmp_path):  # noqa: F811
    one = write_rows(tmp_path / "one.jsonl", [{"text": "call me", "label": "ham"}] * 3)
    with pytest.raises(InputError, match="has the one class 'ham', expected two or more; add rows of another class"):
        benchmark(tmp_path / "a", [llama], [f"classification={one}"])

    short = write_rows(tmp_path / "short.jsonl", [{"question": "q", "choices": ["a"], "answer": 0}])
    with pytest.raises(InputError, match="texts; write the answers to choose from as a list"):
        benchmark(tmp_path / "b", [llama], [f"choices={short}"])
    beyond = write_rows(tmp_path / "beyond.jsonl", [{"question": "q", "choices": ["a", "b"], "answer": 2}])
    with pytest.raises(InputError, match="no place, letter or text of its choices; give the place of the right choice"):
        benchmark(tmp_path / "b", [llama], [f"choices={beyond}"])
    fine = write_rows(tmp_path / "fine.jsonl", CHOICES)
    with pytest.raises(InputError, match="text-classification model does not answer the task choices; leave it out"):
        benchmark(tmp_path / "b", [spam_model], [f"choices={fine}"])

    with pytest.raises(InputError, match="the task choices has no simple models; name a model too"):
        benchmark(tmp_path / "c", ["baselines"], [f"choices={fine}"])

    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty, and no benchmark lies in it; name a new folder"):
        benchmark(tmp_path / "full", [llama], [f"classification={labeled}"])


def test_a_tokenizer_that_tells_no_places_is_refused(llama, monkeypatch):
    monkeypatch.setattr(transformers.PreTrainedTokenizerFast, "is_fast", False)

    with pytest.raises(InputError, match="does not tell where in the text each token stands; give a model"):
        LocalModel(str(llama), batch_size=2)


def test_a_model_that_can_not_answer_is_refused_before_another_is_run(
    llama,
    spam_model,  # noqa: F811
    labeled,
    tmp_path,
    monkeypatch,
):
    other = shutil.copytree(spam_model, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    named = {"id2label": {"0": "no", "1": "yes"}, "label2id": {"no": 0, "yes": 1}}
    settings = {**config["llmtune"], "positive_label": "yes"}
    (other / "config.json").write_text(json.dumps({**config, **named, "llmtune": settings}))
    monkeypatch.setattr("llmtune.commands.benchmark.answer_task", lambda *arguments: pytest.fail("a model was run"))

    with pytest.raises(InputError, match="has the labels no, yes, and the other models are asked for ham, spam, those"):
        benchmark(tmp_path / "a", [llama, other], [f"classification={labeled}"])
    with pytest.raises(InputError, match="not loadable as a run, a checkpoint folder or a Hub id"):
        benchmark(tmp_path / "b", [llama, tmp_path / "nothing"], [f"classification={labeled}"])
    with pytest.raises(InputError, match="or its predictions would lie in the file of another model"):
        benchmark(tmp_path / "c", [llama, f"{llama}/"], [f"classification={labeled}"])


def test_spaces_around_a_label_are_neither_asked_for_nor_expected_in_an_answer(llama, tmp_path):
    spaced = [{**row, "label": f" {row['label']} "} for row in labeled_rows(20)]
    metrics = [
        benchmark(tmp_path / name, [llama], [f"classification={write_rows(tmp_path / f'{name}.jsonl', rows)}"], *flags)
        for name, rows in (("plain", labeled_rows(20)), ("spaced", spaced))
        for flags in [["--prompt_template", TEMPLATE, "--scoring", "likelihood"]]
    ]
    plain, with_spaces = (content["tasks"][0]["models"][0]["metrics"]["accuracy"]["value"] for _, content in metrics)
    (task,) = benchmark_tasks([f"classification={tmp_path / 'spaced.jsonl'}"], TaskOptions())

    assert with_spaces == plain > 0.5
    assert task.instruction() == "Give each text one label: ham, spam.\n\n"
    assert named_label("Spam.", task.label_names) == " spam "
