"""From a command to the first optimizer step: what is imported, and that garbage is collected afterwards only."""

import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest

from llmtune.commands import train as command
from llmtune.errors import run_command

ROOT = Path(__file__).parents[1]
# What scores, baselines, reports and trackers need; training does not wait for it.
LATER = ("sklearn", "scipy.stats", "matplotlib", "evaluate", "sacrebleu", "rouge_score", "optuna", "tensorboard")
UNTIL_THE_FIRST_STEP = """
import gc, json, os, sys
from llmtune import cli

def end(*_):
    print(json.dumps([[name for name in {later} if name in sys.modules], gc.isenabled(), gc.get_freeze_count()]))
    sys.stdout.flush()
    os._exit(0)

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "transformers.trainer":
            sys.meta_path.remove(self)
            from torch.optim.optimizer import register_optimizer_step_post_hook
            register_optimizer_step_post_hook(end)
            assert not gc.isenabled()

sys.meta_path.insert(0, Finder())
cli.run(["train", "spam", "--output_dir", sys.argv[1], "--cpu_threads", "1"])
"""
FRESH = """
import gc
from llmtune.imports import collection_paused, imports_done

{code}
"""


def run(code, *arguments):
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1] if done.stdout else ""


def test_what_only_the_report_needs_is_not_imported_before_training(tmp_path):
    later, enabled, frozen = json.loads(run(UNTIL_THE_FIRST_STEP.format(later=LATER), str(tmp_path / "run")))

    assert later == []
    assert enabled
    assert frozen > 100_000  # the objects of the libraries


def test_garbage_waits_in_the_block_alone():
    run(
        FRESH.format(
            code="with collection_paused():\n    assert not gc.isenabled()\nassert gc.isenabled()\n"
            "try:\n    with collection_paused():\n        1 / 0\nexcept ZeroDivisionError:\n    assert gc.isenabled()\n"
        )
    )


def test_what_was_imported_is_set_aside_once_a_process():
    run(
        FRESH.format(
            code="imports_done()\nfirst = gc.get_freeze_count()\nassert first and gc.isenabled()\n"
            "more = [[] for _ in range(1000)]\nimports_done()\nassert gc.get_freeze_count() <= first\n"
            "with collection_paused():\n    imports_done()\n    assert gc.isenabled()\n"
            "assert gc.get_freeze_count() >= first + 1000\n"
        )
    )


def test_a_recipe_that_fails_leaves_the_collector_on(monkeypatch, tmp_path):
    (tmp_path / "spam.py").write_text("import gc\nassert not gc.isenabled()\nraise ValueError('broken')\n")
    monkeypatch.setattr(command, "recipes_folder", lambda: tmp_path)
    monkeypatch.setattr(command, "_needs_launcher", lambda: False)
    monkeypatch.setattr(sys, "argv", ["llmtune"])

    with pytest.raises(ValueError, match="broken"):
        command.train(recipe="spam")

    assert gc.isenabled()


def test_an_entry_point_runs_with_the_collector_on():
    gc.disable()
    with pytest.raises(SystemExit):
        run_command(lambda: print(gc.isenabled()))

    assert gc.isenabled()
