"""A benchmark: several models, fine-tuned, prompted or served, on the same rows of the user's own files."""
