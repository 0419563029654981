"""What text is made of: words, tags, spans, sentences, near duplicates."""
