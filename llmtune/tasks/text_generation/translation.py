"""Translation: a sentence in another language, judged by BLEU beside chrF and TER."""

from dataclasses import dataclass

from llmtune.tasks.text_generation.task import TextGeneration


@dataclass(frozen=True)
class Translation(TextGeneration):
    """What a translator reads and writes."""

    name = "translation"
    decoder_template = "{source}\n=>"
    best_metric = "bleu"
    scored = ("bleu", "chrf", "length_ratio")
