"""What each file of a run holds, as other programs rely on it: each field's type and range, in one place."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, RootModel

from llmtune.text.contracts import Contract, each_once

Names = list[str] | None
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]


class TaskFields(Contract):
    """Of the task's arguments in run.json, those that a report reads again."""

    metrics: Names = None
    targets: str | None = None
    text_column: str | None = None
    text_pair_column: str | None = None
    label_column: str | None = None
    label_separator: str | None = None
    label_columns: Names = None


class DataFields(Contract):
    """Likewise, of the data's."""

    group_columns: Names = None
    slice_columns: Names = None
    fold: str | None = None


class EvaluateFields(Contract):
    """Likewise, of `llmtune evaluate`."""

    metrics: Names = None


class RunArguments(Contract):
    """The arguments of a run, by group."""

    task: TaskFields = TaskFields()
    data: DataFields = DataFields()
    evaluate: EvaluateFields = EvaluateFields()
    model: dict[str, Any] = {}
    training: dict[str, Any] = {}


class Kept(Contract):
    """The checkpoint that was kept: its step, and whether a metric chose it."""

    step: int | None
    chosen: bool


class Loss(Contract):
    """A loss of training; text where it is not finite."""

    loss: float | str | None


class SplitFacts(Contract):
    """The rows of a split."""

    rows: Annotated[int, Field(ge=0)]
    sha256: str
    made: str = ""
    source: str = ""


class Training(Contract):
    """What training left."""

    steps: Annotated[int, Field(ge=0)] | None = None
    effective_batch: Positive | None = None
    train_seconds: Annotated[float, Field(ge=0)] | None = None
    kept: Kept | None = None
    evaluations: list[dict[str, Any]] = []
    losses: list[Loss] = []


class Reproduction(Contract):
    """What trains the run again."""

    recipe: Annotated[str, Field(pattern=r"^\w+$")]
    processes: Positive
    flags: dict[Annotated[str, Field(pattern=r"^\w+$")], Any]


class TrainedSoFar(Contract):
    """What a checkpoint keeps for a run that goes on from it."""

    run: dict[str, Any]
    real_tokens: Count
    padded_tokens: Count
    train_seconds: Annotated[float, Field(ge=0)]
    evaluation_seconds: Annotated[float, Field(ge=0)]
    evaluations: list[dict[str, Any]]
    least_validation_losses: list[Annotated[float, Field(allow_inf_nan=True)]] | None
    mismatches: list[str] = []


class Callbacks(Contract):
    """What callbacks keep, ours and others."""

    __pydantic_extra__: dict[str, dict[str, Any] | list[Any]]
    llmtune: TrainedSoFar | None = None


class TrainerStateFile(Contract):
    """A checkpoint's trainer_state.json, which transformers writes; ours in it only where our Trainer did."""

    global_step: Count
    max_steps: int
    num_train_epochs: float
    log_history: list[dict[str, Any]]
    best_global_step: int | None = None
    best_metric: Annotated[float, Field(allow_inf_nan=True)] | None = None
    best_model_checkpoint: str | None = None
    stateful_callbacks: Callbacks | None = None


class Run(Contract):
    """run.json."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    command: str | None = None
    arguments: RunArguments = RunArguments()
    reproduction: Reproduction | None = None
    data: dict[str, SplitFacts] = {}
    model: dict[str, Any] = {}
    training: Training = Training()
    truncated: dict[str, Any] = {}
    threshold: dict[str, Any] | None = None
    hardware: dict[str, Any] = {}
    versions: dict[str, str] = {}
    cautions: list[str] = []
    notes: list[str] = []
    peak_memory_mib: float = 0.0


class RunScore(Contract):
    """One number of metrics.json."""

    value: float | None
    low: float | None
    high: float | None
    n: Annotated[int, Field(ge=0)]
    signature: str


class Metrics(RootModel[dict[str, dict[str, RunScore]]]):
    """metrics.json: split → metric → score."""

    model_config = ConfigDict(strict=True)


class RunCheck(Contract):
    """One check of verdict.json."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    check: str
    status: Literal["pass", "fail", "not_enough_data", "not_applicable"]
    finding: str
    numbers: dict[str, Any] = {}
    remedy: str = ""


class RunVerdict(Contract):
    """verdict.json."""

    verdict: Literal["ready", "not_ready", "not_enough_data", "no_target"]
    checks: list[RunCheck]


class ModelSettings(Contract):
    """`llmtune` in a model's config.json: what prediction must do as evaluation did."""

    task: str | None = None
    max_length: Positive | None = None
    stride: Annotated[int, Field(ge=0)] | None = None
    positive_label: str | None = None
    threshold: Share = 0.5
    thresholds: list[Share] = []
    temperature: Annotated[float, Field(gt=0)] = 1.0
    ordinal: bool = False
    label_separator: str | None = None
    label_columns: Names = None
    left_context_only: bool = False
    target_center: float = 0.0
    target_size: float = 1.0
    clip_predictions: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    doc_stride: Annotated[int, Field(ge=0)] | None = None
    n_best_size: Positive | None = None
    max_answer_length: Positive | None = None
    null_threshold: float | None = None
    input_format: str | None = None
    word_format: str | None = None
    pooling: str | None = None


class ModelHead(Contract):
    """Of a model's config what tells its task and its classes, in the order of their ids."""

    architectures: Names = None
    id2label: Annotated[list[str], AfterValidator(each_once)] = []


class ModelConfig(Contract):
    """Of a model's config.json what is ours."""

    llmtune: ModelSettings = ModelSettings()


class AdapterConfig(Contract):
    """Of adapter_config.json what is read here."""

    base_model_name_or_path: str | None = None
    revision: str | None = None
