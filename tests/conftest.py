"""What every test runs under: no network, one thread a process, slow tests only on request."""

import os
import tempfile

# Before torch and huggingface_hub are imported: both read their environment once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["TOKENIZERS_PARALLELISM"] = "false"
CACHE = tempfile.TemporaryDirectory(prefix="llmtune-tests-")  # what one session keeps, the next one must not read
os.environ["HF_DATASETS_CACHE"] = CACHE.name

import fcntl  # noqa: E402 - the environment comes first
import gc  # noqa: E402 - the environment comes first
import importlib  # noqa: E402 - the environment comes first
import runpy  # noqa: E402 - the environment comes first
import shutil  # noqa: E402 - the environment comes first
import subprocess  # noqa: E402 - the environment comes first
import sys  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from functools import cache  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402

RECIPES = Path(__file__).parent.parent / "recipes"
# Four evaluations: curves, and an overfitting check that has something to look at.
DEMO = ["--max_steps", "32", "--eval_strategy", "steps", "--eval_steps", "8", "--save_steps", "8", "--cpu_threads", "1"]


@pytest.fixture(scope="module", autouse=True)
def _libraries_are_looked_through_once() -> None:
    """Each training asks for a full garbage collection, which takes 0.3 s over what importing has made so far."""
    gc.collect()
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run what takes longer than a person waits")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="slow: run with --slow"))


@pytest.fixture(autouse=True, scope="session")
def saved_models_are_checked_on_request() -> Iterator[None]:
    """Off by default: a fresh process takes seconds to import torch, and these runs are hundreds.

    Tests of the check give --check_saved_model True.
    """
    training = importlib.import_module("llmtune.arguments.training").TrainingArguments
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.__dataclass_fields__["check_saved_model"], "default", False)
        yield


class Disk:
    """A small file system of its own in memory.

    Args:
        path: where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self, left: int = 0) -> None:
        """Leaves this many bytes of room, rounded down to whole pages of 4,096."""
        state = os.statvfs(self.path)
        (self.path / "filler").write_bytes(bytes(max(0, state.f_bavail * state.f_frsize - left)))

    def make_room(self) -> None:
        """Takes back what `fill` did."""
        (self.path / "filler").unlink()

    def protect(self) -> None:
        """Makes it read-only: for root too, whom no mode stops."""
        subprocess.run(["mount", "-o", "remount,ro", str(self.path)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Disk]]:
    """Mounts a disk of so many KiB."""
    mounted = []

    def mount(kib: int) -> Disk:
        path = tmp_path / f"disk-{len(mounted)}"
        path.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(path)]
        if (
            os.geteuid() != 0
            or shutil.which("mount") is None
            or subprocess.run(command, capture_output=True).returncode
        ):
            pytest.skip("a disk of its own needs root and the right to mount")
        mounted.append(path)
        return Disk(path)

    yield mount
    for path in mounted:
        subprocess.run(["umount", "-l", str(path)], check=True)


def train_demo(recipe: str, folder: Path) -> None:
    flags = [*DEMO, "--report_to", "tensorboard", "--output_dir", str(folder)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [f"{recipe}.py", *flags])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(RECIPES / f"{recipe}.py"), run_name="__main__")
    assert ended.value.code == 0


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The run folder of a recipe's embedded demo, cut short and trained once a session, with TensorBoard's files.

    Workers of pytest-xdist share it: read it only.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    @cache
    def made(recipe: str) -> Path:
        folder, trained = base / f"demo-{recipe}" / f"{recipe}-1", base / f"demo-{recipe}" / "trained"
        folder.parent.mkdir(exist_ok=True)
        with (folder.parent / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not trained.exists():
                train_demo(recipe, folder)
                trained.touch()
        return folder

    return made
