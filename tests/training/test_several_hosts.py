"""The configurations for several devices and hosts: what accelerate reads of them, and two hosts for real."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from accelerate.commands.config.config_args import load_config_from_file
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "recipes" / "accelerate").glob("*.yaml"))
ACCELERATE = str(Path(sys.executable).with_name("accelerate"))
SIZES = "hidden_size=16,num_attention_heads=2,intermediate_size=32,hidden_dropout_prob=0,attention_probs_dropout_prob=0"
FLAGS = [
    "--model_type",
    "bert",
    "--config_overrides",
    SIZES,
    "--max_steps",
    "12",
    "--eval_strategy",
    "steps",
    "--eval_steps",
    "4",
    "--precision",
    "fp32",
]
FLAGS += ["--optim", "sgd", "--learning_rate", "0.05", "--use_cpu", "True"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_accelerate_reads_a_configuration_and_it_says_what_it_is_for(path):
    config = load_config_from_file(str(path))

    kinds = {"ddp": "MULTI_GPU", "multi_node": "MULTI_GPU", "fsdp2": "FSDP", "deepspeed_zero3": "DEEPSPEED"}
    assert config.distributed_type == kinds[path.stem]
    assert config.num_machines == (2 if path.stem == "multi_node" else 1)
    first = path.read_text().partition("compute_environment")[0]
    assert "billion weights" in first or "as ddp.yaml by size" in first
    assert f"--config_file recipes/accelerate/{path.name}" in first


@pytest.fixture
def hosts() -> Iterator[tuple[str, str]]:
    """Two network namespaces with a cable between them: 10.97.0.1 and 10.97.0.2."""
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("unshare") is None:
        pytest.skip("network namespaces need root, ip and unshare")
    names = ("llmtune-a", "llmtune-b")
    commands = [f"ip netns add {name}" for name in names]
    commands += [f"ip link add llmtune0 netns {names[0]} type veth peer name llmtune0 netns {names[1]}"]
    for place, name in enumerate(names, start=1):
        inside = f"ip netns exec {name} ip"
        commands += [f"{inside} addr add 10.97.0.{place}/24 dev llmtune0"]
        commands += [f"{inside} link set llmtune0 up", f"{inside} link set lo up"]
    try:
        for command in commands:
            made = subprocess.run(command.split(), capture_output=True, text=True, check=False)
            if made.returncode:
                pytest.skip(f"no network namespaces here: {command}: {made.stderr.strip()}")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


@pytest.mark.slow
def test_two_hosts_without_a_shared_folder_give_what_one_process_gives(hosts, tmp_path):
    texts = [
        {"text": f"{'win' if i % 3 else 'lunch'} {i % 7}", "label": "spam" if i % 3 else "ham"} for i in range(300)
    ]
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(map(json.dumps, texts)))
    shared, recipe = tmp_path / "runs", str(ROOT / "recipes" / "spam.py")
    shared.mkdir()
    flags = ["--train_file", str(data), *FLAGS]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "llmtune0"}
    launch = [ACCELERATE, "launch", "--config_file", str(ROOT / "recipes" / "accelerate" / "multi_node.yaml")]
    launch += ["--main_process_ip", "10.97.0.1", "--main_process_port", "29517"]
    own_disk = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs none {shared} && exec "$@"', "sh"]
    running = [
        subprocess.Popen(
            ["ip", "netns", "exec", name, *(own_disk if rank else []), *launch, "--machine_rank", str(rank), recipe,
             *flags, "--output_dir", str(shared / "run")],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank, name in enumerate(hosts)
    ]  # fmt: skip
    printed = [process.communicate(timeout=200)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], printed

    one = [sys.executable, recipe, *flags, "--per_device_train_batch_size", "16", "--output_dir", str(tmp_path / "one")]
    subprocess.run(one, check=True, capture_output=True, env=environment)

    folders = (shared / "run", tmp_path / "one")
    weights = [load_file(folder / "model.safetensors") for folder in folders]
    for name, tensor in weights[1].items():
        np.testing.assert_allclose(weights[0][name], tensor, atol=1e-5)
    scores = [
        json.loads((folder / "metrics.json").read_text())["test"] for folder in (shared / "run", tmp_path / "one")
    ]
    assert scores[0]["log_loss"]["value"] == pytest.approx(scores[1]["log_loss"]["value"], rel=1e-4)
    assert scores[0]["f1"] == scores[1]["f1"]
    assert "Could not locate the best model" not in printed[1]
