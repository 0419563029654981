"""Arguments of tasks that write a text from a text: translation, summarization."""

from dataclasses import dataclass, field


@dataclass
class GenerationArguments:
    """What a model that writes reads, and how its answers are made and judged."""

    _argument_group_name = "task"

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
    metrics: list[str] = field(
        default_factory=list,
        metadata={"help": "additional metrics: llmtune's names, or an evaluate module by name or path"},
    )
    targets: str | None = field(
        default=None, metadata={"help": "what the verdict demands, joined by commas: 'bleu>=25,chrf>=50' (quote it)"}
    )


@dataclass
class TranslationArguments(GenerationArguments):
    """Translation: a sentence in another language."""

    source_column: str = field(
        default="source", metadata={"help": "the text to translate; translation.en reads inside a column"}
    )
    target_column: str = field(
        default="target", metadata={"help": "its translation, or a list of them: the first is trained on"}
    )


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
