"""What of a run goes to the Hub, file by file: nobody's folders, no token, no rows unless they are asked for."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from llmtune.errors import InputError
from llmtune.hub.card_text import card_on_hub, without_weights
from llmtune.hub.page_text import count_rows, without_rows
from llmtune.runs.contracts import AdapterConfig, Metrics, ModelConfig, Run, RunVerdict
from llmtune.runs.folder import BASE_FOLDER
from llmtune.runs.redact import public
from llmtune.text.contracts import read_contract

# Patterns of the model's own files; checkpoints, optimizers and event files stay here.
WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "generation_config.json", "base_model/*")
TOKENIZER = (
    "tokenizer*",
    "special_tokens_map.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "*.spm",
    "chat_template.jinja",
)
# These say where things lay.
NAMED: dict[str, type[BaseModel]] = {
    "config.json": ModelConfig,
    "adapter_config.json": AdapterConfig,
    "run.json": Run,
    "verdict.json": RunVerdict,
}
REPORTS = ("README.md", "report.html", "metrics.json")


def contents(
    folder: Path, repo_id: str, *, report_only: bool = False, predictions: bool = False, examples: bool = False,
    earlier: str = "", token: str | None = None,
) -> dict[str, bytes | Path]:  # fmt: skip
    """The files of a repository by path: as bytes where something had to be taken out, else the file itself.

    Args:
        folder: a run that was reported.
        repo_id: where it goes; the card's code names it.
        report_only: leave out the weights.
        predictions: add the tables with their rows.
        examples: leave the texts of rows in the page.
        earlier: the card that is there now.
        token: taken out wherever it stands.

    Raises:
        InputError: not a reported run.
    """
    needed = REPORTS[1:] if report_only else REPORTS
    missing = [name for name in needed if not (folder / name).exists()]
    if missing:
        raise InputError(f"{folder}: no {missing[0]}; give a run, or make it with llmtune report {folder}")
    files: dict[str, bytes | Path] = {}
    patterns = [] if report_only else [*WEIGHTS, *TOKENIZER]
    patterns += ["predictions/**/*.parquet"] if predictions else []
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            if not path.resolve().is_relative_to(folder.resolve()):
                raise InputError(
                    f"{path}: is a link to {path.resolve()}, outside of the run; put the file itself there"
                )
            files[path.relative_to(folder).as_posix()] = path
    for name in NAMED:
        if (folder / name).exists() and not (report_only and "config" in name):
            files[name] = _text(json.dumps(_published(folder / name), indent=2, ensure_ascii=False) + "\n", token)
    page = (folder / "report.html").read_text(encoding="utf-8")
    files["report.html"] = _text(page if examples else without_rows(page), token)
    read_contract(folder / "metrics.json", Metrics, f"delete it and run llmtune report {folder}")
    files["metrics.json"] = _text((folder / "metrics.json").read_text(encoding="utf-8"), token)
    if (folder / "README.md").exists():
        card = (folder / "README.md").read_text(encoding="utf-8")
        card = without_weights(card) if report_only else card
        files["README.md"] = _text(card_on_hub(card, repo_id, earlier), token)
    return files


def _published(path: Path) -> Any:
    remedy = f"restore it, or make it again with llmtune report {path.parent}"
    content = public(read_contract(path, NAMED[path.name], remedy))
    if path.name == "run.json" and "entities" in content:
        # The most frequent errors come with their sentences.
        content["entities"].pop("errors", None)
    if path.name == "run.json":
        for evaluation in content.get("training", {}).get("evaluations", []):
            evaluation.pop("samples", None)  # of generated texts, with their rows
    if path.name == "adapter_config.json" and (path.parent / BASE_FOLDER).exists():
        content["base_model_name_or_path"] = BASE_FOLDER
    return content


def _text(content: str, token: str | None) -> bytes:
    return (content.replace(token, "[token]") if token else content).encode()


def rows_note(folder: Path, *, examples: bool) -> str:
    """How many rows' texts the page of a run shows, and whether they go with it."""
    rows = count_rows((folder / "report.html").read_text(encoding="utf-8"))
    if not rows:
        return "report.html shows no texts of rows"
    goes = "goes with them" if examples else "goes without them; --examples publishes them too"
    return f"report.html shows the texts of {rows:,} rows, and {goes}"


def sizes(files: Mapping[str, bytes | Path]) -> dict[str, int]:
    """Bytes of each file."""
    return {
        name: len(content) if isinstance(content, bytes) else content.stat().st_size for name, content in files.items()
    }
