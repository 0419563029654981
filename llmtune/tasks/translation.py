"""Translation: a sentence in another language, judged by BLEU beside chrF and TER."""

from dataclasses import dataclass, field

from llmtune.tasks.text_generation.arguments import GenerationArguments
from llmtune.tasks.text_generation.task import TextGeneration


@dataclass
class TranslationArguments(GenerationArguments):
    """Translation: a sentence in another language."""

    source_column: str = field(
        default="source", metadata={"help": "the text to translate; translation.en reads inside a column"}
    )
    target_column: str = field(
        default="target", metadata={"help": "its translation, or a list of them: the first is trained on"}
    )


@dataclass(frozen=True)
class Translation(TextGeneration):
    """What a translator reads and writes."""

    name = "translation"
    arguments_type = TranslationArguments
    decoder_template = "{source}\n=>"
    deciding_metric = "bleu"
    scored = ("bleu", "chrf", "length_ratio")
