"""A run on the Hugging Face Hub."""
