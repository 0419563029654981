"""Text generation: translation and summarization."""
