"""One file a task: rows → model inputs, model outputs → columns of the predictions table."""
