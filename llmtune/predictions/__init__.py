"""The predictions table, and what is true of each kind of it."""

from llmtune.predictions.table import Predictions, make_predictions, read_predictions, write_predictions

__all__ = ["Predictions", "make_predictions", "read_predictions", "write_predictions"]
