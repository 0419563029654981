"""Where metrics meet their callers: a predictions table, a Trainer, `evaluate`."""
