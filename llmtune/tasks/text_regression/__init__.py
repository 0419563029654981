"""Text regression: one text → a number, such as a score or a price."""
