"""What people read of a judged table: report.html, and beside weights README.md."""

from pathlib import Path

from llmtune.report.card import write_card
from llmtune.report.page import write_page
from llmtune.report.report import Report


def write_reports(folder: Path, report: Report, *, no_examples: bool) -> list[Path]:
    """report.html, and where weights lie README.md; returns both paths. Call it when all else of the run is written."""
    written = [write_page(folder, report, no_examples=no_examples)]
    return [*written, write_card(folder, report)] if (folder / "config.json").exists() else written
