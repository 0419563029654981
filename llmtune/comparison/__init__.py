"""Two models on the same rows: whether the rows are the same, and what differs with which certainty."""
