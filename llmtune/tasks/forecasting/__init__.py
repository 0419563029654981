"""Forecasting: the last steps of a series, with its inputs → its next steps."""
