"""Multi-label classification: one text → any of c labels, perhaps none."""
