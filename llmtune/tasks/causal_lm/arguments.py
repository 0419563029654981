"""Arguments of causal language models: columns, windows, packing, prompts to watch."""

from dataclasses import dataclass, field

from llmtune.tasks.arguments import TaskArguments


@dataclass
class CausalLMArguments(TaskArguments):
    """What a language model reads, and how it is watched."""

    input_format: str = field(
        default="text",
        metadata={
            "help": "text (the loss is on every token), prompt_completion (on the completion), messages (chats in the "
            "checkpoint's template, on the turns of the assistant)"
        },
    )
    text_column: str = field(default="text", metadata={"help": "with --input_format text: the document"})
    document_start: str | None = field(
        default=None,
        metadata={
            "help": "of txt files: a regular expression; a line that it matches begins a document ('^ = [^=]' in "
            "WikiText); default a blank line stands between two documents"
        },
    )
    prompt_column: str = field(default="prompt", metadata={"help": "with --input_format prompt_completion: the prompt"})
    completion_column: str = field(default="completion", metadata={"help": "likewise: what follows it"})
    messages_column: str = field(
        default="messages", metadata={"help": "with --input_format messages: a list of {role, content}"}
    )
    max_length: int = field(
        default=1024, metadata={"help": "tokens of a window; a longer row is split into windows, none is dropped"}
    )
    stride: int = field(
        default=1,
        metadata={
            "help": "tokens, as context, that a window of validation and test shares with the one before; 1 is "
            "lm-eval's way, more costs time and gives a lower perplexity"
        },
    )
    packing: bool = field(
        default=True,
        metadata={"help": "training windows share rows of --max_length tokens; none sees another (exact)"},
    )
    sample_prompts: list[str] = field(
        default_factory=list,
        metadata={"help": "prompts that are answered at each evaluation; default the beginnings of validation rows"},
    )
    max_new_tokens: int = field(default=64, metadata={"help": "tokens of an answer or a continuation at most"})
