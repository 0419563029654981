"""`llmtune push`: publishes a run on the Hub, or lists what would go."""

from pathlib import Path
from typing import Any

from llmtune.hub.files import contents, rows_note, sizes
from llmtune.hub.push import check_repo_id, push_run
from llmtune.terminal.document import print_document, terminal_beside


def push(
    *,
    run_folder: str,
    repo_id: str,
    public: bool = False,
    report_only: bool = False,
    predictions: bool = False,
    examples: bool = False,
    dry_run: bool = False,
    output_format: str = "text",
) -> None:
    """Publishes weights, card, report and metrics, or lists what would go.

    Raises:
        InputError: no reported run, no such name, no token that may write there, or a Hub that does not answer.
    """
    folder, terminal = Path(run_folder), terminal_beside(output_format)
    chosen: Any = {"report_only": report_only, "predictions": predictions, "examples": examples}
    if dry_run:
        check_repo_id(repo_id)
        title = f"Would go to {repo_id} ({'public' if public else 'private'})"
        sent = sizes(contents(folder, repo_id, **chosen))
    else:
        url, sent = push_run(folder, repo_id, public=public, **chosen)
        title = f"Pushed to {url}"
    note = rows_note(folder, examples=examples)
    terminal.block(title, [*_lines(sent), note])
    document = {"repo_id": repo_id, "address": None if dry_run else url, "files": sent, "note": note}
    print_document(document, output_format)


def _lines(files: dict[str, int]) -> list[str]:
    return [f"{size:>13,} bytes  {name}" for name, size in files.items()]
