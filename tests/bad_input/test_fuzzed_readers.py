"""Changed files at each reader: every one is read or is one message (`InputError`), whatever bytes or values it holds.

The changes are those of scripts/fuzz_readers.py, which reads thousands; here hypothesis draws a few of each.
"""

import json
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmtune.arguments.yaml_values import read_yaml_mapping
from llmtune.data.files import read_lines, read_table
from llmtune.errors import InputError
from llmtune.metrics import score_predictions
from llmtune.predictions import read_predictions
from llmtune.runs.contracts import Metrics, ModelSettings, Run, RunVerdict
from llmtune.text.contracts import parse_contract
from tests.bad_input.cases import GOOD, lines, parquet

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from fuzzing.mutations import FORMS, mutate  # noqa: E402 - of the script's folder

# The same few each time, that the suite means the same twice; scripts/fuzz_readers.py looks for more.
FEW = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
ROWS = [{"text": "see you", "label": "ham"}, {"text": "win now", "label": "spam"}]
SPANS = [{"text": "Ada met Kay", "spans": [{"start": 0, "end": 3, "label": "PER"}]}]
ARTICLE = {
    "title": "t",
    "paragraphs": [{"context": "a b", "qas": [{"id": "1", "question": "q", "answers": [{"text": "a"}]}]}],
}
STUDIO = [{"id": 1, "data": {"text": "Ada"}, "annotations": [{"result": [{"value": {"choices": ["x"]}}]}]}]
# By ending of the file: what may be changed beside its bytes, and valid contents.
FILES = {
    ".csv": ("csv", (GOOD,)),
    ".tsv": ("bytes", (GOOD.replace(b",", b"\t"),)),
    ".jsonl": ("jsonl", (lines(*ROWS), lines(*SPANS))),
    ".json": ("json", (json.dumps({"data": [ARTICLE]}).encode(), json.dumps(STUDIO).encode())),
    ".conll": ("bytes", (b"-DOCSTART- O\n\nAda B-PER\nran O\n\n# id = 3\nin O\nRome B-LOC\n",)),
    ".txt": ("bytes", (b"one line\n\nand another\n",)),
    ".parquet": ("parquet", (parquet({"text": ["a", "b"], "label": [0, 1]}),)),
}
TABLES = {
    "classification": [
        {"reference": "a", "prediction": "b", "probabilities": [0.4, 0.6]},
        {"reference": "b", "prediction": "b", "probabilities": [0.3, 0.7]},
    ],
    "multilabel-classification": [{"reference": ["a"], "prediction": []}],
    "token-classification": [{"tokens": ["Ada"], "reference": ["B-PER"], "prediction": ["O"]}],
    "text-generation": [{"source": "le chat", "reference": "the cat", "prediction": "a cat"}],
    "question-answering": [{"question": "q", "reference": ["a"], "prediction": "a"}],
    "language-modeling": [{"nll": 2.5, "tokens": 3}],
    "regression": [{"reference": 1.5, "prediction": 1}, {"reference": 2, "prediction": 1.5}],
}
CONTRACTS = {
    "run.json": (Run, {"seed": 3, "arguments": {"task": {"metrics": ["f1"]}}, "training": {"losses": [{"loss": 0.5}]}}),
    "metrics.json": (Metrics, {"test": {"f1": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 3, "signature": "x"}}}),
    "verdict.json": (RunVerdict, {"verdict": "ready", "checks": [{"check": "a", "status": "pass", "finding": ""}]}),
    "config.json": (ModelSettings, {"task": "text-classification", "threshold": 0.5, "thresholds": [0.5]}),
}


def read_or_refused(read, *arguments):
    """Runs it; any error but ours fails the test."""
    with suppress(InputError):
        read(*arguments)


@pytest.mark.parametrize("ending", FILES)
@FEW
@given(draw=st.randoms(use_true_random=False))
def test_a_changed_file_of_rows_is_read_or_refused(ending, draw, tmp_path):
    path = tmp_path / f"rows{ending}"
    path.write_bytes(mutate(draw, *FILES[ending]))

    read_or_refused(read_table, path)


@pytest.mark.parametrize("ending", FILES)
@FEW
@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(ending, content, tmp_path):
    path = tmp_path / f"rows{ending}"
    path.write_bytes(content)

    read_or_refused(read_table, path)
    read_or_refused(read_lines, "stdin", content, "text")


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
@FEW
@given(draw=st.randoms(use_true_random=False))
def test_a_changed_table_is_scored_or_refused(ending, kind, draw, tmp_path):
    rows = TABLES[kind] * 3
    columns = {name: [row.get(name) for row in rows] for name in rows[0]}
    form, seed = ("jsonl", lines(*rows)) if ending == ".jsonl" else ("parquet", parquet(columns))
    path = tmp_path / f"table{ending}"
    path.write_bytes(mutate(draw, form, (seed,)))

    def score():
        score_predictions(read_predictions(path, kind=kind))

    read_or_refused(score)


@pytest.mark.parametrize("name", CONTRACTS)
@FEW
@given(draw=st.randoms(use_true_random=False))
def test_a_changed_file_of_a_run_is_read_or_refused(name, draw):
    schema, content = CONTRACTS[name]
    changed = mutate(draw, "json", (json.dumps(content).encode(),))

    read_or_refused(parse_contract, changed, schema, name, "restore it")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("name", CONTRACTS)
@FEW
@given(value=JSON)
def test_any_json_in_a_field_is_read_or_refused(name, value):
    schema, content = CONTRACTS[name]
    for key in content:
        changed = json.dumps({**content, key: value}).encode()
        read_or_refused(parse_contract, changed, schema, name, "restore it")


@FEW
@given(rows=st.lists(JSON, max_size=4))
def test_any_json_is_rows_or_refused(rows, tmp_path):
    for ending, content in ((".json", json.dumps(rows)), (".jsonl", "\n".join(map(json.dumps, rows)))):
        path = tmp_path / f"rows{ending}"
        path.write_text(content)
        read_or_refused(read_table, path)


@FEW
@given(draw=st.randoms(use_true_random=False))
def test_a_changed_configuration_is_read_or_is_no_yaml(draw):
    content = mutate(draw, "bytes", (b"learning_rate: 1e-4\nmetrics: [f2]\nlr_scheduler_kwargs: {a: 1}\n",))
    try:
        read_or_refused(read_yaml_mapping, content.decode("utf-8", "replace"), "c.yaml")
    except (yaml.YAMLError, RecursionError):
        return  # which the parser turns into a message: tests/bad_input/arguments.py


def test_every_form_is_changed_and_the_seeds_are_valid(tmp_path):
    draw = random.Random(0)
    for ending, (form, seeds) in FILES.items():
        for seed in seeds:
            (tmp_path / f"rows{ending}").write_bytes(seed)
            assert read_table(tmp_path / f"rows{ending}").num_rows
        assert any(mutate(draw, form, seeds) not in seeds for _ in range(5))
    assert {form for form, _ in FILES.values()} | {"arguments", "bytes"} >= FORMS.keys()
    for kind, rows in TABLES.items():
        (tmp_path / "table.jsonl").write_bytes(lines(*rows))
        assert score_predictions(read_predictions(tmp_path / "table.jsonl", kind=kind))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_thousand_changed_inputs_end_in_no_fault(tmp_path):
    script = Path(__file__).parents[2] / "scripts" / "fuzz_readers.py"
    ended = subprocess.run(
        [sys.executable, str(script), "--inputs", "1000", "--findings", str(tmp_path / "findings")],
        capture_output=True,
        text=True,
        timeout=3600,
    )

    assert ended.returncode == 0, ended.stdout[-3000:]
    assert "1,000 inputs in" in ended.stdout
