"""Small models from scratch: the family's own config made small, and a tokenizer trained on the train split."""

from collections import Counter
from collections.abc import Iterable, Sequence

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE, WordPiece
from tokenizers.trainers import BpeTrainer, WordPieceTrainer
from transformers import PreTrainedTokenizerFast
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

# The others read byte-level BPE, as their checkpoints do or nearly do.
WORDPIECE_TYPES = ("bert", "distilbert", "electra", "ernie", "lstm")
CASED_TYPES = ("lstm",)  # of these; as no checkpoint settles it, names keep their capitals
# AutoTokenizer gives a folder of model_type qwen2 this split into words, whatever its tokenizer.json says.
END_ONLY_TYPES = ("t5", "marian")  # a text ends with </s>, and nothing stands before it
QWEN_TYPES = ("qwen2", "qwen3")
PAD_SECOND_TYPES = ("mpnet",)  # its code takes token 1 for padding, whatever the config says
PAIR_TYPES = (
    "bert",
    "electra",
    "ernie",
    "albert",
    "rembert",
)  # their checkpoints tell the texts of a pair by token types
TWO_BETWEEN_TYPES = ("longformer",)  # its head for answers finds the question by </s></s>


def tokenizer_type(model_type: str, *, writes: bool) -> str:
    """The model_type whose sort of tokenizer is trained: a BERT that writes needs upper case, as RoBERTa has it."""
    return "roberta" if writes and model_type in WORDPIECE_TYPES else model_type


def train_tokenizer(model_type: str, texts: Iterable[str], vocab_size: int, max_length: int) -> PreTrainedTokenizerFast:
    """A tokenizer of the family's sort: WordPiece for BERT (lower-cased) and LSTM, byte-level BPE for the others.

    Args:
        model_type: decides the sort and the special tokens ([CLS] … [SEP] around encoder texts, <s> before decoder
            texts).
        texts: of the train split only.
        vocab_size: entries at most; small texts give fewer.
        max_length: tokens that the model can read.
    """
    if model_type in WORDPIECE_TYPES:
        named = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
        lowercase = model_type not in CASED_TYPES
        tokenizer = _train_wordpiece(list(texts), vocab_size, list(named.values()), lowercase=lowercase)
    else:
        tokenizer = Tokenizer(BPE())
        if model_type in QWEN_TYPES:
            tokenizer.normalizer = normalizers.NFC()
            words = pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated")
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
                [words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
            )
        else:
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = decoders.ByteLevel()
        named = {"pad": "<pad>", "bos": "<s>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
        if model_type in PAD_SECOND_TYPES:
            named = {"bos": named["bos"], **named}
        if not is_decoder(model_type) and model_type not in END_ONLY_TYPES:
            named |= {"cls": "<s>", "sep": "</s>"}
        tokenizer.train_from_iterator(
            texts,
            BpeTrainer(
                vocab_size=vocab_size,
                special_tokens=list(dict.fromkeys(named.values())),
                initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                show_progress=False,
            ),
        )
    first, last = named.get("cls", named.get("bos")), named.get("sep")
    if model_type in END_ONLY_TYPES:
        first, last = None, named["eos"]
        single, pair = f"$A {last}", f"$A {last} $B:1 {last}:1"
    elif last:
        between = f"{last} {last}" if model_type in TWO_BETWEEN_TYPES else last
        single, pair = f"{first} $A {last}", f"{first} $A {between} $B:1 {last}:1"
    else:
        single, pair = f"{first} $A", f"{first} $A $B"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single,
        pair=pair,
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (first, last) if token],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        model_input_names=["input_ids", *(["token_type_ids"] if model_type in PAIR_TYPES else []), "attention_mask"],
        **{f"{role}_token": token for role, token in named.items()},
    )


def _train_wordpiece(texts: Sequence[str], vocab_size: int, special_tokens: list[str], *, lowercase: bool) -> Tokenizer:
    """WordPiece, the same on every run and on every process.

    The trainer numbers inner letters ("##a") in the order of a hash map, which differs between runs: two processes
    would train one model on two vocabularies. Given as special tokens they have an order; a second tokenizer of the
    same vocabulary then knows them as plain pieces.
    """

    def untrained(vocabulary: dict[str, int] | None = None) -> Tokenizer:
        tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        return tokenizer

    training = untrained()
    letters = Counter(letter for text in texts for letter in training.normalizer.normalize_str(text))
    ordered = sorted(
        (letter for letter in letters if not letter.isspace()), key=lambda letter: (-letters[letter], letter)
    )
    kept = ordered[: vocab_size // 4]  # of a script with more letters than that, the rare ones are unknown
    training.train_from_iterator(
        texts,
        WordPieceTrainer(
            vocab_size=vocab_size,
            special_tokens=[*special_tokens, *(f"##{letter}" for letter in kept)],
            initial_alphabet=kept,
            limit_alphabet=len(kept),
            show_progress=False,
        ),
    )
    tokenizer = untrained(training.get_vocab())
    tokenizer.add_special_tokens(special_tokens)
    return tokenizer


def is_decoder(model_type: str) -> bool:
    """Whether this model_type is of the decoder family."""
    from llmtune.models import decoder

    return model_type in decoder.MODEL_TYPES
