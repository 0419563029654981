"""A benchmark that is killed and started again asks a server only what is missing, and ends with the same table."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

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
    return [json.loads(line).get("key") for line in lines if line.endswith("\n")]


@pytest.mark.slow
def test_killed_ten_times_no_answer_in_the_journal_is_asked_for_again(llama, tmp_path):
    texts = [{**row, "text": f"{row['text']} {place}"} for place, row in enumerate(labeled_rows(60, seed=2))]
    rows = write_rows(tmp_path / "test.jsonl", texts)
    draw = random.Random(7)
    with Server(llama) as server:
        server.rest = 0.03
        for _ in range(KILLS):
            before = len(server.answered)
            process = start(server, rows, tmp_path / "killed")
            wanted = before + PROBES + draw.randint(1, 10)
            while len(server.answered) < wanted and process.poll() is None:
                time.sleep(0.005)
            assert process.poll() is None, "it ended before it was killed"
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            time.sleep(0.2)  # what the server still answers, nobody hears
        assert start(server, rows, tmp_path / "killed").wait(300) == 0
        prompts = [asked["prompt"] for asked in server.requests if asked["prompt"].split("\n")[0][-1].isdigit()]
        prompts = [prompt for prompt in prompts if prompt.endswith(("ham", "spam"))]
        assert start(server, rows, tmp_path / "whole").wait(300) == 0

    keys = journaled(tmp_path / "killed")
    keys = [key for key in keys if key]
    assert len(keys) == len(set(keys)) == 120
    # Asked twice is only what was under way at a kill, or is the longest text, which the probes ask too.
    longest = max(set(prompts), key=len)
    repeated = len([prompt for prompt in prompts if prompt != longest]) - len(set(prompts) - {longest})
    assert repeated <= KILLS * AT_ONCE
    killed, whole = (
        json.loads((tmp_path / name / "benchmark.json").read_text())["tasks"][0] for name in ("killed", "whole")
    )
    assert killed["models"][0]["metrics"] == whole["models"][0]["metrics"]
