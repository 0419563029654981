"""Arguments of tasks that write a text from a text: translation, summarization."""

from dataclasses import dataclass, field

from llmtune.tasks.arguments import TaskArguments
from llmtune.tasks.text_generation.prompts import check_template


@dataclass
class GenerationArguments(TaskArguments):
    """What a model that writes reads, and how its answers are made and judged."""

    max_source_length: int = field(
        default=256, metadata={"help": "tokens that the source (of a decoder: the prompt) is cut at; cuts are counted"}
    )
    max_target_length: int = field(
        default=128, metadata={"help": "tokens that a training target is cut at; cuts are counted"}
    )
    max_new_tokens: int | None = field(
        default=None, metadata={"help": "tokens of an answer at most; default --max_target_length"}
    )
    num_beams: int = field(default=1, metadata={"help": "beams of the search for an answer; 1 is greedy"})
    length_penalty: float = field(
        default=1.0, metadata={"help": "of beams: above 0 longer answers are preferred (as transformers' generate)"}
    )
    no_repeat_ngram_size: int = field(
        default=0,
        metadata={
            "help": "an answer says no n-gram of this size twice, a decoder none of its prompt either; 0 allows it"
        },
    )
    prompt_template: str | None = field(
        default=None,
        metadata={
            "help": "what the model reads, with {source}, {source_lang}, {target_lang}; default the source alone, for "
            "decoders a prompt that ends where the answer begins; T5: 'translate English to French: {source}'"
        },
    )
    use_chat_template: bool = field(
        default=False, metadata={"help": "of a chat decoder: the prompt is a user's turn in the tokenizer's template"}
    )
    source_lang: str | None = field(
        default=None, metadata={"help": "language of the sources as the tokenizer names it: en, en_XX, eng_Latn"}
    )
    target_lang: str | None = field(
        default=None, metadata={"help": "language of the answers: fr, fr_XX, fra_Latn; BLEU's tokenizer follows it"}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_template(self.prompt_template)
