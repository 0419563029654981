"""What the stock Trainer lacks: an exact weighted loss, batches by length, threads, lines a person can read."""
