"""Commands whose results find no room: one message, and the file that was there before is still whole."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from llmtune import cli
from llmtune.benchmark.journal import Journal
from llmtune.disk import byte_words, disk_error
from llmtune.errors import DiskFault, InputError, Writing
from llmtune.finish import fresh_process
from llmtune.hub.push import push_run
from llmtune.predictions import make_predictions, write_predictions
from llmtune.whole_files import copy_whole, move_files, remove_folder, remove_partial, whole_file, whole_folder


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    labels = ["spam" if i % 3 else "ham" for i in range(60)]
    rows = {"reference": labels, "prediction": labels[1:] + labels[:1]}
    path = tmp_path_factory.mktemp("tables") / "p.parquet"
    return write_predictions(make_predictions("classification", rows, label_names=["ham", "spam"]), path)


def commands(model, lora, rows, table, out):
    """By name the arguments of each command that writes, to `out`, and the file that can't be written first."""
    evaluated = ["evaluate", "--model", str(model), "--test_file", str(rows), "--output_dir", out]
    predicted = ["predict", "--model", str(model), "--input", str(rows), "--output"]
    return {
        "evaluate": (evaluated, "run.json"),
        "predict parquet": ([*predicted, f"{out}/p.parquet"], "p.parquet"),
        "predict csv": ([*predicted, f"{out}/p.csv"], "p.csv"),
        "predict jsonl": ([*predicted, f"{out}/p.jsonl"], "p.jsonl"),
        "report": (["report", str(table), "--output_dir", out], ""),
        "compare": (["compare", str(table), str(table), "--output_dir", out], "comparison.json"),
        "merge": (["merge", str(lora), "--output_dir", f"{out}/merged"], "merged"),
        "merge for a decision": (["merge", str(lora), "--decision", "--output_dir", f"{out}/merged"], "merged"),
    }


NAMES = tuple(commands("", "", "", "", ""))


@pytest.fixture(params=NAMES)
def on_disk(request, small_disk, spam_model, lora_run, spam_file, table):
    """A small disk, a folder on it, and a command that writes there, with the file that it writes first."""
    disk = small_disk(64)
    out = disk.path / "out"
    out.mkdir()
    return disk, out, *commands(spam_model, lora_run, spam_file, table, str(out))[request.param]


def test_a_full_disk_is_one_message_and_leaves_nothing_behind(on_disk):
    disk, out, argv, file = on_disk
    disk.fill()

    with pytest.raises(DiskFault) as raised:
        cli.run(argv)

    message = str(raised.value)
    assert message.startswith(f"{out}/{file}")
    assert ": can't be written: no space is left on the disk (0 B free" in message
    assert message.endswith("; make room there, or name a place on another disk")
    assert [path for path in out.rglob("*") if path.is_file()] == []


def test_nor_does_a_read_only_one(on_disk):
    disk, _, argv, _ = on_disk
    disk.protect()

    with pytest.raises(InputError, match=r"(?i)read-only"):
        cli.run(argv)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_an_earlier_file_is_kept_where_the_new_one_has_no_room(ending, small_disk, spam_model, spam_file):
    disk = small_disk(64)
    old = disk.path / f"p.{ending}"
    old.write_text("what was there")
    disk.fill(4096)

    with pytest.raises(DiskFault):
        cli.run(["predict", "--model", str(spam_model), "--input", str(spam_file), "--output", str(old), "--overwrite"])

    assert old.read_text() == "what was there"
    assert sorted(path.name for path in disk.path.iterdir()) == ["filler", old.name]


def test_the_exit_code_is_2_and_no_traceback_is_printed(small_disk, table):
    """In a process of its own: of stdout on a full disk, too, and of the temporary folder."""
    disk = small_disk(64)
    disk.fill()
    report = [sys.executable, "-m", "llmtune", "report", str(table)]

    with (disk.path / "log").open("w") as log:
        to_stdout = subprocess.run(report, stdout=log, stderr=subprocess.PIPE, text=True)
    to_folder = subprocess.run([*report, "--output_dir", f"{disk.path}/new"], capture_output=True, text=True)

    for done in (to_stdout, to_folder):
        assert done.returncode == 2
        assert re.fullmatch(r"error: .*can't be written: no space is left on the disk.*\n", done.stderr)


def test_a_journal_says_that_nothing_is_asked_again(small_disk):
    disk = small_disk(64)
    journal = Journal(disk.path / "journal" / "a.jsonl")
    journal.add("a", {"text": "yes"}, 0.5)
    disk.fill()

    with pytest.raises(DiskFault, match="then give the same command: what has been answered is not asked again"):
        journal.add("b", {"text": "no" * 10_000}, 0.5)

    disk.make_room()
    assert "a" in Journal(disk.path / "journal" / "a.jsonl").answers


def test_a_cache_without_room_is_no_silent_hub(tmp_path, monkeypatch):
    for name in ("README.md", "report.html", "metrics.json"):
        (tmp_path / name).write_text("{}")
    monkeypatch.setattr("llmtune.hub.push.contents", lambda *args, **kwargs: {})
    monkeypatch.setattr("llmtune.hub.push.HfApi.create_repo", full)

    with pytest.raises(DiskFault, match="or name another folder by HF_HUB_CACHE"):
        push_run(tmp_path, "me/run")


def full(*args, **kwargs):
    raise OSError(28, os.strerror(28))


def test_the_check_of_the_saved_model_blames_the_disk_and_not_the_model(tmp_path, monkeypatch):
    request = fresh_process.Request("model", "test", {})
    for name in ("load_task", "task_settings", "load_plainly", "search_settings", "scored"):
        monkeypatch.setattr(fresh_process, name, lambda *args, **kwargs: ({}, {}, []) if kwargs == {} else {})
    monkeypatch.setattr(fresh_process, "configure_cpu", lambda threads: None)
    monkeypatch.setattr(fresh_process.datasets.Dataset, "from_parquet", lambda *args, **kwargs: None)

    def unwritten(table, path):
        with Writing(path):
            full()

    monkeypatch.setattr(fresh_process, "write_predictions", unwritten)
    monkeypatch.setattr(fresh_process, "different", lambda before, after: {})

    content = fresh_process.answer(request, tmp_path)

    assert content["no_room"] is True
    assert content["refused"].startswith(f"{tmp_path}/table.parquet: can't be written: no space is left on the disk")


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (OSError(28, "No space left on device"), 28),
        (OSError(122, "Disk quota exceeded"), 122),
        (OSError(2, "No such file"), None),
        (type("SafetensorError", (Exception,), {})("I/O error: No space left on device (os error 28)"), 28),
        (Exception("Read-only file system (os error 30)"), 30),
        (Exception("Is a directory (os error 21)"), None),
        (RuntimeError("No space left on device (os error 28)"), None),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"), 5),
        (RuntimeError("CUDA error"), None),
        (ValueError("no space"), None),
    ],
)
def test_the_cause_is_read_from_what_each_writer_says(error, number, tmp_path):
    assert disk_error(error, tmp_path) == number


def test_sizes_are_read_by_persons():
    assert [byte_words(count) for count in (0, 1023, 1024, 3 * 2**29, 2**50)] == [
        *("0 B", "1023 B", "1.0 KiB", "1.5 GiB", "1024.0 TiB")
    ]


def test_a_file_or_folder_is_whole_or_as_it_was(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").touch()

    for writer, killed in (
        (whole_file(tmp_path / "a.txt"), lambda partial: partial.write_text("half") and {}["killed"]),
        (whole_folder(tmp_path / "folder"), lambda partial: (partial / "half").touch() or {}["killed"]),
    ):
        with pytest.raises(KeyError), writer as partial:
            killed(partial)

    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["old"]
    with whole_folder(tmp_path / "folder") as partial:
        (partial / "new").touch()
    copy_whole(tmp_path / "a.txt", tmp_path / "new" / "b.txt")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.txt", "b.txt", "folder", "new", "new"]


def test_what_a_killed_writer_left_is_deleted_and_nothing_else(tmp_path):
    for name in (".a.json.17.partial", "a.json", "predictions/.b.parquet.3.partial", "predictions/b.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".partial" / "checkpoint-3").mkdir(parents=True)
    (tmp_path / "from" / "base_model").mkdir(parents=True)
    (tmp_path / "from" / "base_model" / "new").touch()
    (tmp_path / "base_model").mkdir()
    (tmp_path / "base_model" / "old").touch()

    remove_partial(tmp_path)
    move_files(tmp_path / "from", tmp_path)
    remove_folder(tmp_path / "predictions" / "none")

    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert names == ["a.json", "base_model/new", "predictions/b.parquet"]
    assert not (tmp_path / "from").exists()


def test_a_path_may_lie_where_nothing_is_yet(tmp_path):
    with pytest.raises(DiskFault, match="no space is left"), Writing(Path("there/is/none.json"), needed=5):
        full()
