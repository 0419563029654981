"""A run to the Hub in one commit, so that nothing stands there half; what has arrived is not sent again."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx2  # what huggingface_hub speaks through
from huggingface_hub import CommitOperationAdd, HfApi, get_token
from huggingface_hub.constants import HF_HUB_CACHE
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from huggingface_hub.utils._validators import validate_repo_id

from llmtune.errors import InputError, Writing
from llmtune.hub.files import contents, sizes

T = TypeVar("T")
PAUSES = (1.0, 4.0, 16.0)  # seconds between tries


def push_run(
    folder: Path,
    repo_id: str,
    *,
    report_only: bool = False,
    predictions: bool = False,
    examples: bool = False,
    public: bool = False,
    token: str | None = None,
) -> tuple[str, dict[str, int]]:
    """Publishes a reported run; a repository that is not there is made, private unless `public`.

    Returns:
        its address, and the bytes of each file.

    Raises:
        InputError: no reported run, no such name, a token that may not write there, or a Hub that does not answer.
    """
    check_repo_id(repo_id)
    api, token = HfApi(token=token), token or get_token()
    chosen: Any = {"report_only": report_only, "predictions": predictions, "examples": examples, "token": token}
    contents(folder, repo_id, **chosen)  # refuses before a repository is made
    made = _tried(lambda: api.create_repo(repo_id, private=not public, exist_ok=True), repo_id)
    earlier = _tried(lambda: _card_there(api, made.repo_id), repo_id)
    files = contents(folder, made.repo_id, **chosen, earlier=earlier)
    operations = [
        CommitOperationAdd(name, content if isinstance(content, bytes) else str(content))
        for name, content in files.items()
    ]
    message = "Report of llmtune" if report_only else "Model and report of llmtune"
    _tried(lambda: api.create_commit(made.repo_id, operations, commit_message=message), repo_id)
    return str(made), sizes(files)


def check_repo_id(repo_id: str, flag: str = "--repo_id") -> None:
    """Raises InputError, by the flag that gave it, where the Hub would take no repository of this name."""
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise InputError(f"{flag} {repo_id}: {error}") from error


def _card_there(api: HfApi, repo_id: str) -> str:
    """The card that a repository holds; empty where there is none."""
    try:
        return Path(api.hf_hub_download(repo_id, "README.md")).read_text(encoding="utf-8")
    except LocalEntryNotFoundError as error:  # an EntryNotFoundError too, of a Hub that did not answer
        raise httpx2.ConnectError(str(error)) from error
    except (EntryNotFoundError, RepositoryNotFoundError):
        return ""


def _tried(ask: Callable[[], T], repo_id: str) -> T:
    """The answer of the Hub, asked again where it failed for a while.

    A weights file that can't be sent is a RuntimeError of huggingface_hub with the Hub's answer as its cause, or an
    OSError of hf_xet.
    """
    for pause in (*PAUSES, None):
        try:
            with Writing(HF_HUB_CACHE, remedy="make room there, or name another folder by HF_HUB_CACHE"):
                return ask()
        except (HfHubHTTPError, httpx2.TransportError, RuntimeError, OSError) as error:
            cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
            status = cause.response.status_code if isinstance(cause, HfHubHTTPError) else None
            if status in (401, 403):
                raise InputError(
                    f"--repo_id {repo_id}: the Hub refuses (HTTP {status}); log in with `hf auth login` or set "
                    "HF_TOKEN to a token that may write there"
                ) from error
            if status is not None and (pause is None or (status < 500 and status != 429)):
                raise InputError(f"--repo_id {repo_id}: the Hub answers HTTP {status}: {cause}") from error
            if pause is None:
                raise InputError(
                    f"--repo_id {repo_id}: the Hub does not answer ({cause}); llmtune push sends it later, without "
                    "what has arrived"
                ) from error
        time.sleep(pause)
    raise AssertionError("the last try returns or raises")
