"""Question answering: extractive (a span of the context) and generative."""
