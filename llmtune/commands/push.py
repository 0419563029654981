"""`llmtune push`: publishes a run on the Hub, or lists what would go."""

from pathlib import Path
from typing import Any

from llmtune.hub.files import contents, sizes
from llmtune.hub.push import check_repo_id, push_run
from llmtune.terminal.console import Terminal


def push(*, run_folder: str, repo_id: str, public: bool = False, dry_run: bool = False, **chosen: Any) -> None:
    """Publishes weights, card, report and metrics; `chosen` are report_only and predictions of `push_run`.

    Raises:
        InputError: no reported run, no such name, no token that may write there, or a Hub that does not answer.
    """
    folder, terminal = Path(run_folder), Terminal()
    if dry_run:
        check_repo_id(repo_id)
        title = f"Would go to {repo_id} ({'public' if public else 'private'})"
        terminal.block(title, _lines(sizes(contents(folder, repo_id, **chosen))))
        return
    url, sent = push_run(folder, repo_id, public=public, **chosen)
    terminal.block(f"Pushed to {url}", _lines(sent))


def _lines(files: dict[str, int]) -> list[str]:
    return [f"{size:>13,} bytes  {name}" for name, size in files.items()]
