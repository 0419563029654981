"""What a model that answers questions reads, how it is trained and how it is judged."""

from dataclasses import dataclass, field

from llmtune.tasks.arguments import TaskArguments
from llmtune.tasks.text_generation.prompts import check_template


@dataclass
class QuestionAnsweringArguments(TaskArguments):
    """What a model that answers questions on a text reads and how it is trained."""

    question_column: str = field(default="question", metadata={"help": "the question"})
    context_column: str = field(default="context", metadata={"help": "the text that holds the answer"})
    answers_column: str = field(
        default="answers",
        metadata={
            "help": "{text: […], answer_start: […]} as in SQuAD, characters from 0; both empty: no answer. Where train "
            "has such questions the model learns to leave them unanswered"
        },
    )
    max_length: int = field(
        default=384,
        metadata={
            "help": "extractive: tokens of a window of question and context; a longer context is cut into several. "
            "Generative: tokens of question and context; a longer context loses its end"
        },
    )
    method: str | None = field(
        default=None,
        metadata={
            "help": "extractive marks the answer in the context, generative writes it; default: encoders mark, "
            "decoders and sequence-to-sequence models write"
        },
    )
    doc_stride: int = field(default=128, metadata={"help": "tokens of the context that neighboring windows share"})
    n_best_size: int = field(default=20, metadata={"help": "answers of a window that are compared over all windows"})
    max_answer_length: int = field(default=30, metadata={"help": "tokens of an answer at most"})
    null_score_diff_threshold: float | None = field(
        default=None,
        metadata={
            "help": "no answer is given where its score is above the best answer's by more than this; default chosen "
            "on validation where train has questions without an answer"
        },
    )
    num_beams: int = field(default=1, metadata={"help": "generative: beams of the search for an answer; 1 is greedy"})
    prompt_template: str | None = field(
        default=None, metadata={"help": "generative: what the model reads, with {source}: question and context"}
    )
    use_chat_template: bool = field(
        default=False, metadata={"help": "generative: the prompt is a user's turn in the tokenizer's chat template"}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_template(self.prompt_template)
