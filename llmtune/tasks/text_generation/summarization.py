"""Summarization: the gist of a text, judged by ROUGE beside the text's own first sentences."""

from dataclasses import dataclass

from llmtune.tasks.text_generation.task import TextGeneration


@dataclass(frozen=True)
class Summarization(TextGeneration):
    """What a summarizer reads and writes."""

    name = "summarization"
    decoder_template = "{source}\nTL;DR:"  # Radford et al. 2019
    best_metric = "rougeL"
    scored = ("rouge1", "rouge2", "rougeL", "length_ratio")
