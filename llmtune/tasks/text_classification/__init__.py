"""Text classification: one text → one of c classes."""
