"""A run on disk: run.json, metrics.json, verdict.json and the predictions, and what of them may be published."""
