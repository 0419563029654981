"""The templates for Slurm and SkyPilot start accelerate on every host as they should; the schedulers are stand-ins."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / "recipes" / "launch"
# The fields of a task that SkyPilot's documentation lists, as far as they are used.
SKYPILOT = {"name", "num_nodes", "resources", "workdir", "file_mounts", "envs", "setup", "run"}


@pytest.fixture
def stand_ins(tmp_path):
    """A folder of programs that say how they were called; `srun` starts its command once a host."""
    programs = {
        "accelerate": 'printf "%s|" "$@"; echo',
        "scontrol": "echo host-a; echo host-b",
        "srun": 'for host in 0 1; do SLURM_NODEID=$host "$@"; done',
    }
    for name, line in programs.items():
        path = tmp_path / name
        path.write_text(f"#!/usr/bin/env bash\n{line}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}


def calls(done: subprocess.CompletedProcess[str]) -> list[list[str]]:
    return [line.split("|")[:-1] for line in done.stdout.splitlines()]


def test_slurm_starts_one_launcher_a_host_with_its_rank(stand_ins):
    environment = {**stand_ins, "SLURM_JOB_NODELIST": "host-[a-b]", "SLURM_NNODES": "2", "SLURM_GPUS_ON_NODE": "8"}
    command = ["bash", str(LAUNCH / "slurm.sh"), "recipes/spam.py", "--targets", "recall[spam]>=0.8 and more"]

    seen = calls(subprocess.run(command, env=environment, capture_output=True, text=True, check=True))

    start = ["launch", "--config_file", "recipes/accelerate/multi_node.yaml", "--num_machines", "2"]
    for rank, called in enumerate(seen):
        assert called == [
            *start, "--num_processes", "16", "--machine_rank", str(rank), "--main_process_ip", "host-a",
            "recipes/spam.py", "--targets", "recall[spam]>=0.8 and more",
        ]  # fmt: skip
    assert len(seen) == 2
    assert "#SBATCH --signal=TERM@120" in (LAUNCH / "slurm.sh").read_text()


def test_skypilot_starts_a_launcher_with_its_rank(stand_ins, tmp_path):
    task = yaml.safe_load((LAUNCH / "skypilot.yaml").read_text())
    assert set(task) <= SKYPILOT
    environment = {
        **stand_ins, **task["envs"], "FLAGS": "--seed 3", "SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2",
        "SKYPILOT_NUM_NODES": "2", "SKYPILOT_NUM_GPUS_PER_NODE": "8", "SKYPILOT_NODE_RANK": "1",
    }  # fmt: skip

    done = subprocess.run(
        ["bash", "-c", task["run"]], env=environment, capture_output=True, text=True, check=True, cwd=tmp_path
    )

    assert calls(done) == [
        ["launch", "--config_file", "recipes/accelerate/multi_node.yaml", "--num_machines", "2", "--num_processes",
         "16", "--machine_rank", "1", "--main_process_ip", "10.0.0.1", "recipes/spam.py", "--seed", "3", "--output_dir",
         "/runs/llmtune", "--resume_from_checkpoint", "auto"]
    ]  # fmt: skip
