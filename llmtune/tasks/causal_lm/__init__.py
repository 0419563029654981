"""Causal language models: fine-tuned on texts, on prompts with completions, on chats; judged by their perplexity."""
