"""One check a file: what a predictions table, the data or the training log tell about a model being ready."""
