"""Arguments of the data: which files or Hub sets, and which rows of them."""

from dataclasses import dataclass, field

from llmtune.arguments.ranges import check_ranges

# The splits, and by which words the names of files and of the Hub's splits tell them: those that `datasets` looks for
# in the names of a folder's files, and development.
SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val", "development"),
    "test": ("test", "testing", "eval", "evaluation"),
}
SPLITS = tuple(SPLIT_NAMES)


@dataclass
class DataArguments:
    """Where the rows come from."""

    _argument_group_name = "data"

    dataset_name: str | None = field(default=None, metadata={"help": "Hub id, or a local dataset folder"})
    dataset_config_name: str | None = field(default=None, metadata={"help": "configuration of the Hub data set"})
    dataset_revision: str | None = field(default=None, metadata={"help": "branch, tag or commit of the Hub data set"})
    train_file: str | None = field(
        default=None,
        metadata={"help": "csv, tsv, json, jsonl, parquet, xlsx, txt or conll, each also .gz; may differ per split"},
    )
    validation_file: str | None = field(
        default=None, metadata={"help": "likewise; without it a part of train is held out"}
    )
    test_file: str | None = field(default=None, metadata={"help": "likewise; without it a part of train is held out"})
    validation_fraction: float = field(
        default=0.1, metadata={"help": "share of train held out where no validation is given"}
    )
    test_fraction: float = field(default=0.1, metadata={"help": "share of train held out where no test is given"})
    split_group_column: str | None = field(
        default=None,
        metadata={"help": "rows that share this column's value (author, thread) stay on one side of a split"},
    )
    fold: str | None = field(
        default=None,
        metadata={"help": "i/K: test is the i-th of K parts of train; llmtune report RUN1 … RUNK merges the K runs"},
    )
    group_columns: list[str] = field(
        default_factory=list, metadata={"help": "carried into the predictions, for fairness"}
    )
    slice_columns: list[str] = field(
        default_factory=list, metadata={"help": "carried into the predictions, for slices"}
    )
    max_train_samples: int | None = field(default=None, metadata={"help": "use only the first n rows of train"})
    max_eval_samples: int | None = field(
        default=None, metadata={"help": "use only the first n rows of validation and of test; noted in the report"}
    )
    no_examples: bool = field(
        default=False, metadata={"help": "leave the texts of the rows out of report.html: for private data"}
    )

    overwrite_cache: bool = field(
        default=False,
        metadata={
            "help": "tokenize again where an earlier run kept the tokens of the same rows, tokenizer and settings (in "
            "HF_DATASETS_CACHE; --no_examples keeps none)"
        },
    )

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def given(self) -> bool:
        """Whether any data was named."""
        return bool(self.dataset_name or self.train_file or self.validation_file or self.test_file)
