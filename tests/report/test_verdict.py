"""The verdict at the terminal and in its file; what a run would be refused for before training."""

import io
import json

import pytest
from rich.console import Console

from llmtune.diagnosis.case import Case, diagnose
from llmtune.errors import InputError
from llmtune.report.beforehand import check_tagging_targets, metrics_of
from llmtune.report.terminal import Terminal
from llmtune.report.verdict import show_verdict, write_verdict
from llmtune.tasks.text_classification import TextClassification
from llmtune.tasks.token_classification import TokenClassification
from tests.diagnosis.tables import binary


def test_the_block_opens_with_the_sentence_and_tells_each_check(tmp_path):
    verdict = diagnose(Case(binary(hits=12, missed=88, alarms=4, rest=4_000)))
    stream = io.StringIO()

    show_verdict(Terminal(console=Console(file=stream, width=200)), verdict, tmp_path)
    write_verdict(tmp_path, verdict)

    lines = stream.getvalue().strip().splitlines()
    assert lines[0].startswith(
        "Not ready: It finds only 12 % of 'spam' (12 of 100), though 97.8 % of all answers are right"
    )
    assert any(line.startswith("  ✗ accuracy_paradox: It finds only 12 %") for line in lines)
    assert any("→ train with --class_weights balanced" in line for line in lines)
    assert any(line.startswith("  ✓ numerics") for line in lines)
    assert "not checked: leakage" in stream.getvalue()
    assert json.loads((tmp_path / "verdict.json").read_text()) == verdict.to_json()


def test_a_target_that_no_model_can_have_is_refused_before_training():
    from llmtune.arguments import TextClassificationArguments

    task = TextClassification(("ham", "spam"), "spam", 64)
    metrics_of(task, TextClassificationArguments(targets="recall[spam]>=0.8,f1>=0.5"))
    with pytest.raises(InputError, match=r"there is no 'recall\[spma\]' here"):
        metrics_of(task, TextClassificationArguments(targets="recall[spma]>=0.8"))
    tagger = TokenClassification(("O", "B-PER", "I-PER"), 64, 8)
    check_tagging_targets(tagger, "entity_recall[PER]>=0.8")
    with pytest.raises(InputError, match=r"there is no 'entity_recall\[ORG\]' here"):
        check_tagging_targets(tagger, "entity_recall[ORG]>=0.8")
