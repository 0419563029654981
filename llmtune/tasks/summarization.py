"""Summarization: the gist of a text, judged by ROUGE beside the text's own first sentences."""

from dataclasses import dataclass, field

from llmtune.tasks.text_generation.arguments import GenerationArguments
from llmtune.tasks.text_generation.task import TextGeneration


@dataclass
class SummarizationArguments(GenerationArguments):
    """Summarization: the gist of a text."""

    max_source_length: int = field(
        default=512, metadata={"help": "tokens that the text (of a decoder: the prompt) is cut at; cuts are counted"}
    )
    source_column: str = field(default="document", metadata={"help": "the text to summarize"})
    target_column: str = field(
        default="summary", metadata={"help": "its summary, or a list of them: the first is trained on"}
    )


@dataclass(frozen=True)
class Summarization(TextGeneration):
    """What a summarizer reads and writes."""

    name = "summarization"
    arguments_type = SummarizationArguments
    decoder_template = "{source}\nTL;DR:"  # Radford et al. 2019
    deciding_metric = "rougeL"
    scored = ("rouge1", "rouge2", "rougeL", "length_ratio")
