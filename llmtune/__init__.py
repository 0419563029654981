"""llmtune: fine-tune BERT, Llama, Mistral, seq2seq and LSTM models, and believe the numbers.

The Python API is `Report`, which judges predictions made anywhere, and `compare`, of two reports; no torch behind them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmtune.report.compare_reports import compare
    from llmtune.report.report import Report

__version__ = "0.1.0"
__all__ = ["Report", "__version__", "compare"]


def __getattr__(name: str) -> Any:
    """`Report` and `compare`, imported when they are first asked for: `import llmtune` costs nothing."""
    if name == "Report":
        from llmtune.report.report import Report

        return Report
    if name == "compare":
        from llmtune.report.compare_reports import compare

        return compare
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
