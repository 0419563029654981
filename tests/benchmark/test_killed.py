"""A benchmark that is killed and started again asks a server only what is missing, and ends with the same table."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from llmtune.benchmark.endpoint import echo_payload
from llmtune.benchmark.journal import request_key
from llmtune.benchmark.probe import REVERSED, SENTENCE, longest_text
from llmtune.benchmark.run import benchmark_tasks
from llmtune.benchmark.task import TaskOptions
from tests.benchmark.conftest import TEMPLATE, labeled_rows, write_rows
from tests.benchmark.server import Server

KILLS, AT_ONCE, PROBES = 10, 2, 6


def start(server, rows, folder):
    flags = ["--prompt_template", TEMPLATE, "--speed_requests", "0", "--concurrency", str(AT_ONCE)]
    arguments = ["--models", server.spec, "--tasks", f"classification={rows}", "--output_dir", str(folder), *flags]
    command = [sys.executable, "-m", "llmtune", "benchmark", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def journaled(folder):
    """The keys of the answers on disk that were written whole."""
    lines = [line for path in folder.glob("journal/*") for line in path.read_text().splitlines(keepends=True)]
    entries = [json.loads(line) for line in lines if line.endswith("\n")]
    return [entry["key"] for entry in entries if "key" in entry]


@pytest.mark.slow
def test_killed_ten_times_no_answer_in_the_journal_is_asked_for_again(llama, tmp_path):
    texts = [{**row, "text": f"{row['text']} {place}"} for place, row in enumerate(labeled_rows(60, seed=2))]
    rows = write_rows(tmp_path / "test.jsonl", texts)
    (task,) = benchmark_tasks([f"classification={rows}"], TaskOptions(prompt_template=TEMPLATE))
    probed = {SENTENCE, REVERSED, longest_text(task.asked_texts())}
    draw = random.Random(7)
    with Server(llama) as server:
        server.rest = 0.03
        again = 0
        for kill in range(KILLS + 1):
            before, known = len(server.requests), journaled(tmp_path / "killed")
            process = start(server, rows, tmp_path / "killed")
            wanted = len(server.answered) + PROBES + draw.randint(1, 10)
            while kill < KILLS and len(server.answered) < wanted and process.poll() is None:
                time.sleep(0.005)
            if kill < KILLS:
                assert process.poll() is None, "it ended before it was killed"
                os.kill(process.pid, signal.SIGKILL)
            assert process.wait(300) == (0 if kill == KILLS else -signal.SIGKILL)
            time.sleep(0.2)  # what the server still answers, nobody hears
            asked = [request["prompt"] for request in server.requests[before:]]
            keys = [request_key("/completions", {"model": "tiny", **echo_payload(prompt)}) for prompt in asked]
            again += sum(key in known for key, prompt in zip(keys, asked, strict=True) if prompt not in probed)
        assert start(server, rows, tmp_path / "whole").wait(300) == 0

    assert again == 0
    keys = journaled(tmp_path / "killed")
    assert len(keys) == len(set(keys)) == 120
    killed, whole = (json.loads((tmp_path / name / "benchmark.json").read_text()) for name in ("killed", "whole"))
    assert killed["tasks"][0]["models"][0]["metrics"] == whole["tasks"][0]["models"][0]["metrics"]
