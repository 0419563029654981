"""Tasks of lm-eval by name: the harness's own numbers, with intervals."""

import importlib.util
import json
import sys
from types import ModuleType, SimpleNamespace

import pytest

from llmtune.benchmark import harness
from llmtune.benchmark.harness import HarnessChoices, harness_benchmark
from llmtune.benchmark.task import TaskOptions
from llmtune.errors import InputError
from llmtune.predictions import read_predictions
from tests.benchmark.conftest import labeled_rows, write_rows
from tests.benchmark.test_local_models import benchmark, needs_lm_eval


@needs_lm_eval
@pytest.mark.parametrize("shots", [0, 2])
def test_a_task_of_lm_eval_by_name_gives_its_numbers(llama, tmp_path, shots):
    from lm_eval import evaluator
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    choices = ["now", "the old mill", "free cash"]
    for split, count in (("train", 12), ("test", 30)):
        rows = [
            {"question": row["text"], "choices": choices[number % 2 :], "answer": number % 2}
            for number, row in enumerate(labeled_rows(count, seed=count))
        ]
        write_rows(tmp_path / f"{split}.jsonl", rows)
    config = {
        "task": "ours",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {split: str(tmp_path / f"{split}.jsonl") for split in ("train", "test")}},
        "test_split": "test",
        "fewshot_split": "train",
        "output_type": "multiple_choice",
        "doc_to_text": "Q: {{question}}\nA:",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "{{answer}}",
        "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
    }
    path = tmp_path / "ours.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    model = HFLM(pretrained=str(llama), device="cpu", batch_size=4, dtype="float32")
    theirs = evaluator.simple_evaluate(
        model=model, tasks=[str(path)], num_fewshot=shots, fewshot_random_seed=42, bootstrap_iters=0,
        task_manager=TaskManager(),
    )  # fmt: skip

    _, content = benchmark(tmp_path / "b", [llama], [f"lm_eval={path}"], "--num_fewshot", str(shots))

    ours = content["tasks"][0]["models"][0]["metrics"]
    assert ours["accuracy"]["value"] == pytest.approx(theirs["results"]["ours"]["acc,none"])
    assert ours["acc_norm"]["value"] == pytest.approx(theirs["results"]["ours"]["acc_norm,none"])
    assert ours["accuracy"]["low"] < ours["accuracy"]["high"]
    table = read_predictions(next((tmp_path / "b" / "predictions" / "lm_eval").iterdir()))
    assert table.column("question")[0].count("Q: ") == shots + 1


@needs_lm_eval
def test_texts_of_lm_eval_are_scored_whole(llama, tmp_path):
    from lm_eval import evaluator
    from lm_eval.models.huggingface import HFLM

    write_rows(tmp_path / "test.jsonl", [{"text": row["text"]} for row in labeled_rows(12, seed=1)])
    config = {
        "task": "texts",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "test.jsonl")}},
        "test_split": "test",
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "{{text}}",
        "metric_list": [{"metric": "bits_per_byte"}],
    }
    path = tmp_path / "texts.yaml"
    path.write_text(json.dumps(config))
    # Left to itself it would set a second begin token before a text, and score the first one.
    model = HFLM(pretrained=str(llama), device="cpu", batch_size=1, dtype="float32", add_bos_token=False)
    theirs = evaluator.simple_evaluate(model=model, tasks=[str(path)], bootstrap_iters=0)

    _, content = benchmark(tmp_path / "b", [llama], [f"lm_eval={path}"])

    ours = content["tasks"][0]["models"][0]["metrics"]["bits_per_byte"]["value"]
    assert ours == pytest.approx(theirs["results"]["texts"]["bits_per_byte,none"], rel=1e-4)


@needs_lm_eval
@pytest.mark.parametrize(
    ("task", "flags", "message"),
    [
        ("no_such_task", [], r"--tasks lm_eval=no_such_task: lm-eval can't load it \(KeyError: .*`lm_eval ls tasks`"),
        (
            "arc_easy",
            ["--prompt_template", "{question}"],
            "--prompt_template: the prompts of lm_eval=arc_easy are those",
        ),
    ],
)
def test_a_task_of_lm_eval_that_cannot_be_asked_is_refused(llama, tmp_path, task, flags, message):
    write_rows(tmp_path / "test.jsonl", [{"text": "a", "answer": "b"}])
    config = {
        "task": "written",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "test.jsonl")}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{text}}",
        "doc_to_target": "{{answer}}",
    }
    (tmp_path / "written.yaml").write_text(json.dumps(config))

    with pytest.raises(InputError, match=message):
        benchmark(tmp_path / "b", [llama], [f"lm_eval={task.format(written=tmp_path / 'written.yaml')}"], *flags)


@needs_lm_eval
def test_written_answers_are_filtered_and_scored_as_lm_eval_does(llama, tmp_path):
    from lm_eval import evaluator
    from lm_eval.models.huggingface import HFLM

    write_rows(tmp_path / "test.jsonl", labeled_rows(25, seed=4))
    word = [{"function": "regex", "regex_pattern": r"(\w+)"}, {"function": "take_first"}]
    config = {
        "task": "written",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "test.jsonl")}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{text}}\nLabel:",
        "doc_to_target": "{{label}}",
        "generation_kwargs": {"until": ["\n"], "max_gen_toks": 8, "do_sample": False},
        "filter_list": [{"name": "word", "filter": word}],
        "metric_list": [{"metric": "exact_match", "ignore_case": True}],
    }
    path = tmp_path / "written.yaml"
    path.write_text(json.dumps(config))
    model = HFLM(pretrained=str(llama), device="cpu", batch_size=1, dtype="float32")
    theirs = evaluator.simple_evaluate(model=model, tasks=[str(path)], bootstrap_iters=0)

    _, content = benchmark(tmp_path / "b", [llama], [f"lm_eval={path}"])

    metrics = content["tasks"][0]["models"][0]["metrics"]
    ours = metrics["lm_eval_exact_match"]
    assert ours["value"] == pytest.approx(theirs["results"]["written"]["exact_match,word"])
    assert 0 < ours["value"] < 1
    assert ours["low"] < ours["value"] < ours["high"]
    assert metrics["exact_match"]["value"] == pytest.approx(100 * ours["value"]), "here SQuAD's rules change nothing"


@needs_lm_eval
def test_continuations_are_scored_as_lm_eval_does(llama, tmp_path):
    from lm_eval import evaluator
    from lm_eval.models.huggingface import HFLM

    write_rows(tmp_path / "test.jsonl", labeled_rows(10, seed=4))
    config = {
        "task": "next",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "test.jsonl")}},
        "test_split": "test",
        "output_type": "loglikelihood",
        "doc_to_text": "{{text}}\nLabel:",
        "doc_to_target": " {{label}}",
        "target_delimiter": "",
        "metric_list": [{"metric": "perplexity"}],
    }
    path = tmp_path / "next.yaml"
    path.write_text(json.dumps(config))
    model = HFLM(pretrained=str(llama), device="cpu", batch_size=1, dtype="float32")
    theirs = evaluator.simple_evaluate(model=model, tasks=[str(path)], bootstrap_iters=0)

    benchmark(tmp_path / "b", [llama], [f"lm_eval={path}"])

    table = read_predictions(next((tmp_path / "b" / "predictions" / "lm_eval").iterdir()))
    samples = sorted(theirs["samples"]["next"], key=lambda sample: sample["doc_id"])
    assert table.column("nll") == pytest.approx([-sample["filtered_resps"][0][0] for sample in samples], rel=1e-4)


def test_a_task_that_is_asked_in_a_way_of_its_own_is_refused(monkeypatch):
    task = SimpleNamespace(OUTPUT_TYPE="multi_turn")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(harness, "_harness_task", lambda file: task)

    with pytest.raises(
        InputError,
        match="--tasks lm_eval=talk: lm-eval asks it as multi_turn, expected multiple_choice, loglikelihood_rolling, "
        "loglikelihood, generate_until; run it with lm_eval itself",
    ):
        harness_benchmark("talk", TaskOptions())


class Rows:
    """A task of lm-eval of one row, as far as it is asked, without lm-eval."""

    multiple_input = 0
    config = SimpleNamespace(num_fewshot=None)
    eval_docs = (None,)

    def __init__(self, target: object) -> None:
        self.target = target

    def set_fewshot_seed(self, seed: int) -> None:
        """Nothing is drawn."""

    def fewshot_context(self, document: None, shots: int) -> str:
        return "Q: a\nA:"

    def doc_to_choice(self, document: None) -> list[str]:
        return ["b", "c"]

    def doc_to_target(self, document: None) -> object:
        return self.target

    def construct_requests(self, document: None, context: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(args=(context, f" {choice}")) for choice in self.doc_to_choice(document)]


@pytest.mark.parametrize("target", [1, "c"])
def test_contexts_and_continuations_are_those_of_the_harness(target):
    task = HarnessChoices(Rows(target), "one", TaskOptions())

    assert task.test[0][0] == {"id": 0, "question": "Q: a\nA:", "choices": ["b", "c"], "answer": 1}
    assert task.pairs() == [[("Q: a\nA:", " b"), ("Q: a\nA:", " c")]]


@pytest.mark.parametrize("target", [[0, 1], 2, "d"])
def test_a_row_without_one_right_choice_is_refused(target):
    with pytest.raises(
        InputError,
        match="--tasks lm_eval=one: row 0 has the target .*, expected the place of one of its 2 choices; run a task of "
        "several right answers with lm_eval itself",
    ):
        assert HarnessChoices(Rows(target), "one", TaskOptions()).test


def test_a_group_of_tasks_is_refused_with_names_of_some(monkeypatch):
    names = [f"mmlu_{number}" for number in range(9)]
    tasks = {name: SimpleNamespace(task_name=name) for name in names}
    stand_in = ModuleType("lm_eval.tasks")
    stand_in.TaskManager = lambda: SimpleNamespace(load=lambda file: {"tasks": tasks})
    monkeypatch.setitem(sys.modules, "lm_eval", ModuleType("lm_eval"))
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", stand_in)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)

    with pytest.raises(InputError, match="lm_eval=mmlu: a group of 9 tasks; name one of them: mmlu_0, .*, mmlu_4 …"):
        harness_benchmark("mmlu", TaskOptions())


def test_the_prompts_of_the_harness_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)

    with pytest.raises(
        InputError, match="--prompt_template: the prompts of lm_eval=arc_easy are those of lm-eval; leave it out"
    ):
        harness_benchmark("arc_easy", TaskOptions(prompt_template="{question}"))


@pytest.mark.skipif(importlib.util.find_spec("lm_eval") is not None, reason="lm_eval is installed")
def test_without_lm_eval_its_tasks_say_how_to_install_it(llama, tmp_path):
    with pytest.raises(InputError, match=r"--tasks lm_eval=arc_easy: lm-eval is not installed: pip install 'llmtune"):
        benchmark(tmp_path / "b", [llama], ["lm_eval=arc_easy"])
