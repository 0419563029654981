"""Checkpoint or small model from scratch → tokenizer and model ready to train; the family follows from `model_type`."""
