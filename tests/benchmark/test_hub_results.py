"""`.eval_results` of a registered benchmark: written where it is named, and read back by huggingface_hub."""

import re

import pytest
import yaml
from huggingface_hub import parse_eval_result_entries

from llmtune.benchmark.hub_results import read_hub_benchmark
from llmtune.errors import InputError
from tests.benchmark.conftest import write_rows
from tests.benchmark.test_local_models import CHOICES, benchmark


def test_each_model_has_a_file_that_the_hub_reads(llama, tmp_path, capsys):
    rows = write_rows(tmp_path / "choices.jsonl", CHOICES)

    _, content = benchmark(
        tmp_path / "b", [llama], [f"choices={rows}"], "--hub_benchmark", "Idavidrein/gpqa#gpqa_diamond"
    )

    (path,) = (tmp_path / "b" / "eval_results").rglob("*.yaml")
    assert path.name == "gpqa_diamond.yaml"
    written = yaml.safe_load(path.read_text())
    (entry,) = parse_eval_result_entries(written)
    accuracy = content["tasks"][0]["models"][0]["metrics"]["accuracy"]
    assert (entry.dataset_id, entry.task_id) == ("Idavidrein/gpqa", "gpqa_diamond")
    assert entry.value == accuracy["value"]
    assert isinstance(written[0]["date"], str)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", entry.date)
    assert entry.notes.startswith(f"accuracy, 95 % CI [{accuracy['low']:.4f}, ")
    assert ", 4 rows, prompted, llmtune " in entry.notes
    assert "for .eval_results/ in the repository of this model" in " ".join(capsys.readouterr().out.split())


def test_without_a_named_benchmark_nothing_is_written_for_the_hub(llama, tmp_path):
    rows = write_rows(tmp_path / "choices.jsonl", CHOICES)

    benchmark(tmp_path / "b", [llama], [f"choices={rows}"])

    assert not (tmp_path / "b" / "eval_results").exists()


@pytest.mark.parametrize("given", ["gpqa", "Idavidrein/gpqa", "gpqa#diamond", "a b/c#d", "Idavidrein/gpqa#../x", "#x"])
def test_what_names_no_benchmark_is_refused(given):
    message = (
        f"--hub_benchmark {given!r}: expected a registered benchmark of the Hub and one of its tasks, as "
        "Idavidrein/gpqa#gpqa_diamond"
    )
    with pytest.raises(InputError, match=re.escape(message)):
        read_hub_benchmark(given, 1)


def test_a_value_is_of_one_task():
    with pytest.raises(InputError, match="there are 2 tasks, and a benchmark's value is of one; run it by itself"):
        read_hub_benchmark("Idavidrein/gpqa#gpqa_diamond", 2)
