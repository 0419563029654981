"""llmtune: fine-tune BERT, Llama, Mistral, seq2seq and LSTM models, and believe the numbers."""

__version__ = "0.1.0"
