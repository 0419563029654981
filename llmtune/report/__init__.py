"""What a run shows and leaves: blocks at the terminal, metrics.json, run.json."""
