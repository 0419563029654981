"""The verdict at the terminal and in its file; what a run would be refused for before training."""

import io
import json

from rich.console import Console

from llmtune.diagnosis.context import Context, diagnose
from llmtune.runs.folder import write_verdict
from llmtune.terminal.console import Terminal
from llmtune.terminal.verdict_lines import show_verdict
from tests.diagnosis.tables import binary


def test_the_block_opens_with_the_sentence_and_tells_each_check(tmp_path):
    verdict = diagnose(Context(binary(hits=12, missed=88, alarms=4, rest=4_000)))
    stream = io.StringIO()

    show_verdict(Terminal(console=Console(file=stream, width=200)), verdict, tmp_path)
    write_verdict(tmp_path, verdict)

    lines = stream.getvalue().strip().splitlines()
    assert lines[0].startswith("Not ready: Recall of 'spam' is 12 % (12 of 100), although accuracy is 97.8 %")
    assert any(line.startswith("  ✗ accuracy_paradox: Recall of 'spam' is 12 %") for line in lines)
    assert any("→ train with --class_weights balanced" in line for line in lines)
    assert any(line.startswith("  ✓ numerics") for line in lines)
    assert "not checked: saved_model, leakage" in stream.getvalue()
    assert json.loads((tmp_path / "verdict.json").read_text()) == verdict.to_json()
