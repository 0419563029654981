"""Arguments of the model: the checkpoint, or a config from scratch, and the adapter."""

from dataclasses import dataclass, field

from llmtune.arguments.ranges import check_ranges


@dataclass
class ModelArguments:
    """Which model, and how it is made trainable."""

    _argument_group_name = "model"

    model_name_or_path: str | None = field(
        default=None, metadata={"help": "Hub id or folder; its model_type picks the family"}
    )
    revision: str | None = field(default=None, metadata={"help": "branch, tag or commit of the checkpoint"})
    model_type: str | None = field(
        default=None,
        metadata={"help": "a small model from scratch: bert, llama, lstm …; its tokenizer is trained on train"},
    )
    config_overrides: str | None = field(
        default=None, metadata={"help": "k=v,… set in the model's config, from scratch or of a checkpoint (dropout …)"}
    )
    tokenizer_vocab_size: int = field(default=4000, metadata={"help": "vocabulary of a tokenizer trained from scratch"})
    dtype: str = field(
        default="float32",
        metadata={"help": "dtype of the weights: float32, bfloat16, float16, auto (the checkpoint's)"},
    )
    attn_implementation: str | None = field(default=None, metadata={"help": "eager, sdpa, flash_attention_2, …"})
    trust_remote_code: bool = field(default=False, metadata={"help": "run model code that comes with the checkpoint"})
    allow_pickle: bool = field(
        default=False, metadata={"help": "weights in pytorch_model.bin too, as tensors only (default: safetensors)"}
    )
    use_peft: bool = field(
        default=False, metadata={"help": "train a LoRA adapter (Hu et al. 2021) and the new head only"}
    )
    lora_r: int = field(default=16, metadata={"help": "rank of the adapter"})
    lora_alpha: int = field(default=32, metadata={"help": "scale of the adapter, usually 2 x rank"})
    lora_dropout: float = field(default=0.05, metadata={"help": "dropout on the adapter's input, 0 to 1"})
    lora_target_modules: list[str] = field(
        default_factory=list, metadata={"help": "default: the attention and feed-forward projections of the family"}
    )
    use_dora: bool = field(
        default=False, metadata={"help": "DoRA (Liu et al. 2024): an adapter that learns the weights' magnitude apart"}
    )
    use_rslora: bool = field(
        default=False, metadata={"help": "rank-stabilized LoRA (Kalajdzievski 2023): scale alpha / sqrt(r)"}
    )
    freeze_layers: int | None = field(
        default=None,
        metadata={"help": "the embeddings and the first n layers keep the checkpoint's weights (0: the embeddings)"},
    )
    load_in_8bit: bool = field(
        default=False, metadata={"help": "8-bit base weights (Dettmers et al. 2022) under LoRA, through bitsandbytes"}
    )
    load_in_4bit: bool = field(default=False, metadata={"help": "QLoRA: 4-bit base weights through bitsandbytes"})

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def bits(self) -> int | None:
        """Of quantized base weights, 4 or 8; None where they are whole."""
        return 4 if self.load_in_4bit else 8 if self.load_in_8bit else None

    @property
    def given(self) -> bool:
        """Whether any model was named."""
        return bool(self.model_name_or_path or self.model_type)
