"""Arguments of token classification: columns, windows, loss and targets."""

from dataclasses import dataclass, field

from llmtune.tasks.arguments import TaskArguments


@dataclass
class TokenClassificationArguments(TaskArguments):
    """What a tagger of entities reads and how it is trained."""

    input_format: str = field(
        default="tokens",
        metadata={"help": "tokens (words with one tag each: IOB1, IOB2, BIOES or BILOU) or spans (texts with spans)"},
    )
    tokens_column: str = field(default="tokens", metadata={"help": "the words, a list"})
    tags_column: str = field(default="tags", metadata={"help": "the tags, a list as long"})
    label_names: str | None = field(
        default=None,
        metadata={"help": "names of tags that are ids, in their order: O,B-PER,I-PER,… (or 0=O,1=B-PER,…)"},
    )
    sentence_column: str | None = field(
        default=None, metadata={"help": "of files with one word a row: the column that numbers the sentences"}
    )
    text_column: str = field(default="text", metadata={"help": "with --input_format spans: the text"})
    spans_column: str = field(
        default="spans",
        metadata={"help": "with --input_format spans: a list of {start, end, label}, in characters of the text"},
    )
    max_length: int = field(
        default=256, metadata={"help": "tokens of a window; a longer row is cut into windows that overlap"}
    )
    stride: int = field(default=32, metadata={"help": "tokens that neighboring windows share"})
    class_weights: str = field(
        default="none",
        metadata={"help": "none, balanced (n / (tags x words of the tag)), or a,b,… in the order of tags"},
    )
    loss: str = field(default="cross_entropy", metadata={"help": "cross_entropy or focal (Lin et al. 2017)"})
    focal_gamma: float = field(default=2.0, metadata={"help": "gamma of the focal loss, 0 or more; 0 is cross entropy"})
