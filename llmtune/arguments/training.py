"""Arguments of training: HF's TrainingArguments with other defaults, what it lacks, and the folder of the run."""

import argparse
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers
from accelerate.utils import DynamoBackend, broadcast_object_list, patch_environment, wait_for_everyone
from transformers.integrations import get_available_reporting_integrations
from transformers.training_args import OptimizerNames

from llmtune.arguments import launcher
from llmtune.arguments.last_checkpoint import check_checkpoint, last_whole_checkpoint
from llmtune.arguments.optimization import check_optimization, read_mappings
from llmtune.arguments.ranges import check_ranges
from llmtune.arguments.run_folder import RUN_MARKER, claim, claim_next_free, next_free
from llmtune.errors import InputError, Writing

SAMPLING_STRATEGIES = ("batch_rebalance", "random", "sequential", "group_by_length")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
# What weights of a dtype are computed in where nothing autocasts.
COMPUTED_IN = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16", "4-bit": "bf16", "8-bit": "fp16"}
BACKENDS = [backend.value for backend in DynamoBackend if backend.value != "NO"]
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")  # of torch.compile
# What --optim needs beside torch: (names that match, module, what pip calls it); transformers says it after the data.
OPTIMIZER_PACKAGES = (
    (r"adamw_torch_[48]bit", "torchao", "torchao"),
    (r"galore_.*", "galore_torch", "galore-torch"),
    (r"apollo_.*", "apollo_torch", "apollo-torch"),
    (r"(ada)?lomo", "lomo_optim", "lomo-optim"),
    (r"grokadamw", "grokadamw", "grokadamw"),
    (r"schedule_free_.*", "schedulefree", "schedulefree"),
    (r"stable_adamw", "optimi", "torch-optimi"),
    (r"adamw_anyprecision", "torchdistx", "torchdistx"),
    (r"adamw_torch_xla", "torch_xla", "torch-xla"),
    (r"adamw_torch_npu_fused", "torch_npu", "torch-npu"),
    (r"paged_.*|lion_.*|ademamix.*|.*bnb.*|adamw_8bit", "bitsandbytes", "'llmtune[quantization]'"),
)


@dataclass
class TrainingArguments(transformers.TrainingArguments):
    """HF's TrainingArguments with the defaults of a fine-tuning run, and what it lacks.

    Everything of transformers.TrainingArguments is a field. Changed defaults: evaluation and saving each epoch, the
    best checkpoint is loaded at the end, NaN losses are shown, batches are cut by length in a random effective batch.
    """

    _argument_group_name = "training"

    output_dir: str | None = field(default=None, metadata={"help": "default runs/<recipe>-<next free number>"})
    overwrite: bool = field(
        default=False, metadata={"help": "replace the run in --output_dir, once the input is known good"}
    )
    verbose: bool = field(
        default=False, metadata={"help": "print every metric, class and check at the end, as the report has them"}
    )
    format: str = field(
        default="text", metadata={"help": "json: one document on stdout at the end, all else on stderr"}
    )
    precision: str = field(
        default="auto",
        metadata={
            "help": "of training: fp32, bf16, fp16, or auto: that of accelerate launch --mixed_precision, else bf16 "
            "where the hardware does it well; --bf16 and --fp16 win"
        },
    )
    # transformers' own names the inputs that are labels, which the Trainer here knows; as a flag it names classes.
    label_names: list[str] | None = field(default=None, init=False)
    # None: not given. transformers' own default is False, which could not be told from `bf16: false`.
    bf16: bool | None = field(
        default=None,
        metadata={"help": "as --precision bf16; False rules out that auto takes bf16", "nargs": "?", "const": True},
    )
    fp16: bool | None = field(
        default=None,
        metadata={"help": "as --precision fp16; False rules out that auto takes fp16", "nargs": "?", "const": True},
    )
    cpu_threads: int | None = field(default=None, metadata={"help": "default: allowed cores / local processes"})
    early_stopping_patience: int | None = field(
        default=None, metadata={"help": "stop after this many evaluations without a better --metric_for_best_model"}
    )
    early_stopping_threshold: float = field(default=0.0, metadata={"help": "what counts as better on that metric"})
    search: str | None = field(
        default=None,
        metadata={"help": "settings to try on validation before the run: learning_rate=1e-5..1e-4,lora_r=8|16"},
    )
    search_trials: int = field(default=20, metadata={"help": "how many settings --search tries"})
    # Set by --search: whether the run ends after validation, and what it says to the report.
    search_trial: bool = field(default=False, metadata={"help": argparse.SUPPRESS})
    search_summary: str | None = field(default=None, metadata={"help": argparse.SUPPRESS})
    eval_strategy: str = field(default="epoch", metadata={"help": "when validation is scored: no, steps, epoch"})
    save_strategy: str = field(default="epoch", metadata={"help": "when a checkpoint is kept: no, steps, epoch, best"})
    save_total_limit: int | None = field(default=1, metadata={"help": "checkpoints kept in addition to the best"})
    resume_from_checkpoint: str | None = field(
        default=None,
        metadata={"help": "a checkpoint to go on from, or auto: the last whole one of --output_dir, if there is one"},
    )
    allow_resume_mismatch: bool = field(default=False, metadata={"help": "resume with other data, batch, seed …"})
    load_best_model_at_end: bool = field(default=True, metadata={"help": "end with the checkpoint best on validation"})
    metric_for_best_model: str | None = field(
        default=None, metadata={"help": "the metric on validation that picks the checkpoint; default the task's own"}
    )
    greater_is_better: bool | None = field(default=None, metadata={"help": "its direction; default the metric's own"})
    ddp_find_unused_parameters: bool | None = field(
        default=False, metadata={"help": "needed on several processes where a model leaves parameters unused"}
    )
    logging_steps: float = field(default=10, metadata={"help": "log every n optimizer steps; below 1 a share of all"})
    logging_nan_inf_filter: bool = field(default=False, metadata={"help": "hide NaN losses from the log"})
    train_sampling_strategy: str = field(
        default="batch_rebalance",
        metadata={
            "help": "batch_rebalance (a random effective batch, cut by length), random, sequential, group_by_length "
            "(length tells the class in many sets: it costs quality)"
        },
    )
    padding_free: bool = field(default=True, metadata={"help": "compute no padding, where possible"})
    check_saved_model: bool = field(default=True, metadata={"help": "predict rows with the saved model"})
    cuda_graphs: bool = field(default=True, metadata={"help": "on a GPU replay updates as CUDA graphs"})

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise InputError(f"--precision {self.precision!r} is not one of {', '.join(PRECISIONS)}")
        check_ranges(self)
        read_mappings(self)
        given: Any = self  # transformers' own fields have no types here
        self.given_values = {one.name: getattr(self, one.name) for one in fields(self)}
        # Said to accelerate too: without a GPU, and without this, each process that torchrun starts would take itself
        # for the only one, and all would write the same run.
        self.use_cpu = on_cpu = given.use_cpu or launcher.is_launched_on_cpu() or not torch.accelerator.is_available()
        self._settle_precision(on_cpu)
        self._settle_checkpoints()
        # Pinned memory is for copies to a GPU; without one torch only warns.
        self.dataloader_pin_memory = given.dataloader_pin_memory and not on_cpu
        # transformers would name it trainer_output.
        self._output_dir_given = self.output_dir is not None
        self.recipe: str | None = None  # its name, once a recipe has settled the folder
        self._best_metric_given = self.metric_for_best_model is not None
        self._direction_given = self.greater_is_better is not None
        launcher.refuse_missing_deepspeed(given.deepspeed)
        if on_cpu:
            launcher.join_processes_on_cpu(given.ddp_backend, given.ddp_timeout)
        # transformers listens to this variable before its own arguments.
        with patch_environment(**{launcher.PRECISION: "bf16" if self.bf16 else "fp16" if self.fp16 else "no"}):
            super().__post_init__()
        self._refuse_what_cannot_run()

    def _settle_precision(self, on_cpu: bool) -> None:
        """What was asked for becomes what is computed: in `precision`, in `bf16` and `fp16`, and for accelerate."""
        if self.bf16 and self.fp16:
            raise InputError("--bf16 and --fp16 are both given; give one of the two")
        precision = "bf16" if self.bf16 else "fp16" if self.fp16 else self.precision
        if precision == "auto":
            precision = self._automatic_precision(on_cpu)
        elif precision in ("bf16", "fp16") and getattr(self, precision) is False:
            raise InputError(
                f"--precision {precision} and --{precision} False contradict each other; leave one of them out"
            )
        if precision == "fp16" and on_cpu:
            raise InputError(
                "--precision fp16: half precision training needs a GPU, and this run is on the CPU; use bf16"
            )
        self.precision = precision
        # On a CPU the Trainer subclass autocasts training itself: accelerate would autocast evaluation too. There
        # bf16 is None, not False: a copy of these arguments would take False for a contradiction.
        self.bf16 = (None if on_cpu else True) if precision == "bf16" else False
        self.fp16 = precision == "fp16"

    def _automatic_precision(self, on_cpu: bool) -> str:
        """What accelerate was told, else bf16 where the hardware does it well, unless --bf16 False rules it out."""
        launched = launcher.launched_precision()
        wanted = launched if launched != "no" else "bf16" if does_bf16_well(on_cpu) else "fp32"
        return "fp32" if getattr(self, wanted, None) is False else wanted

    def _settle_checkpoints(self) -> None:
        """Saves when it evaluates, unless another --save_strategy or --save_steps was given."""
        if "no" in (self.eval_strategy, self.save_strategy):
            self.load_best_model_at_end = False
        if self.load_best_model_at_end and self.save_strategy == "epoch":
            self.save_strategy = self.eval_strategy
            given: Any = self
            if self.eval_strategy == "steps" and given.save_steps == transformers.TrainingArguments.save_steps:
                self.save_steps = self.eval_steps or self.logging_steps

    def _refuse_what_cannot_run(self) -> None:
        if self.train_sampling_strategy not in SAMPLING_STRATEGIES:
            raise InputError(
                f"--train_sampling_strategy {self.train_sampling_strategy!r} is not one of "
                f"{', '.join(SAMPLING_STRATEGIES)}"
            )
        if self.early_stopping_patience and not self.load_best_model_at_end:
            raise InputError(
                "--early_stopping_patience needs evaluations and checkpoints to compare: leave out --eval_strategy no, "
                "--save_strategy no and --load_best_model_at_end False"
            )
        if self.early_stopping_threshold and not self.early_stopping_patience:
            raise InputError(
                "--early_stopping_threshold says when an evaluation is no better; add --early_stopping_patience N, "
                "after how many of them training stops"
            )
        if self.search:
            raise InputError(f"search {self.search!r}: found in a file; give --search on the command line")
        if self.format != "text":
            raise InputError(f"format {self.format!r}: found in a file; give --format on the command line")
        self._refuse_flags_that_break_evaluation()
        self._refuse_what_is_not_there()
        check_optimization(self)
        installed = get_available_reporting_integrations()
        for name in self.report_to:
            if name not in installed:
                raise InputError(
                    f"--report_to {name}: unknown or not installed; installed are {', '.join(sorted(installed))}"
                )

    def _refuse_what_is_not_there(self) -> None:
        given: Any = self
        optim = OptimizerNames(given.optim).value
        needed = next((needs for names, *needs in OPTIMIZER_PACKAGES if re.fullmatch(names, optim)), None)
        if needed and find_spec(needed[0]) is None:
            raise InputError(f"--optim {optim}: needs {needed[0]}, not installed here: pip install {needed[1]}")
        if given.use_liger_kernel and find_spec("liger_kernel") is None:
            raise InputError("--use_liger_kernel: needs liger_kernel, not installed here: pip install liger-kernel")
        backend = given.torch_compile_backend
        if backend is not None and backend.upper() not in BACKENDS:
            raise InputError(f"--torch_compile_backend {backend!r} is not one of {', '.join(map(str.lower, BACKENDS))}")
        mode = given.torch_compile_mode
        if mode is not None and mode not in COMPILE_MODES:
            raise InputError(f"--torch_compile_mode {mode!r} is not one of {', '.join(COMPILE_MODES)}")
        if given.dataloader_persistent_workers and not given.dataloader_num_workers:
            raise InputError(
                "--dataloader_persistent_workers: there are no workers; add --dataloader_num_workers 1, or leave it out"
            )

    def _refuse_flags_that_break_evaluation(self) -> None:
        given: Any = self
        for flag, asked, why in (
            ("--dataloader_drop_last", given.dataloader_drop_last, "rows would be missing from evaluation"),
            ("--prediction_loss_only", given.prediction_loss_only, "evaluation would have no predictions to score"),
            (
                "--eval_do_concat_batches False",
                not given.eval_do_concat_batches,
                "predictions could not be put in order",
            ),
            ("--bf16_full_eval", given.bf16_full_eval, "the weights would be rounded, and left so"),
            ("--fp16_full_eval", given.fp16_full_eval, "the weights would be rounded, and left so"),
        ):
            if asked:
                raise InputError(f"{flag}: {why}; leave it out")

    @property
    def why_padded(self) -> str | None:
        """Why batches are computed with their padding, whatever the model can; None where nothing asks for it."""
        given: Any = self
        if not self.padding_free:
            return "--padding_free False"
        if given.torch_compile:
            return "--torch_compile takes shapes that come again"
        return "several GPUs share one process; start one on each (accelerate launch)" if given.n_gpu > 1 else None

    @property
    def cpu_autocast(self) -> bool:
        """Whether training on this CPU computes in bfloat16."""
        return self.precision == "bf16" and self.use_cpu

    def describe_precision(self, weights: str) -> str:
        """What training and evaluation compute in, in words, for weights of a dtype ("float32" …, "4-bit")."""
        plain = COMPUTED_IN[weights]
        training = plain if self.precision == "fp32" else self.precision
        evaluation = self.evaluation_precision(weights)
        stored = "" if weights == "float32" else f", the weights in {weights}"
        return f"training in {training}, evaluation in {evaluation}{stored}"

    def evaluation_precision(self, weights: str) -> str:
        """What evaluation computes in, fp32, bf16 or fp16, for weights of a dtype."""
        return self.precision if self.autocasts_evaluation else COMPUTED_IN[weights]

    @property
    def autocasts_evaluation(self) -> bool:
        """Whether evaluation keeps the half precision of training, as FSDP, DeepSpeed and torch.compile fix it.

        Else it has that of the weights: a GPU's bfloat16 would decide some rows otherwise than `llmtune predict`.
        """
        given: Any = self
        divided = given.fsdp or given.deepspeed or launcher.divides_models()
        return self.precision != "fp32" and not self.use_cpu and bool(divided or given.torch_compile)

    def resolve_output_dir(self, recipe: str) -> None:
        """Settles `output_dir`, the same on every process.

        Raises:
            InputError: it holds a run and neither --overwrite nor --resume_from_checkpoint was given, or with one of
                them it is not a run; there is no such checkpoint; or a launcher was told what would not be known.
        """
        given: Any = self
        launcher.refuse_what_is_unknown(given.gradient_accumulation_steps, compiles=given.torch_compile)
        if self.resume_from_checkpoint == "auto":
            self._find_last_checkpoint()
        if self.resume_from_checkpoint:
            check_checkpoint(Path(self.resume_from_checkpoint), recipe)
        self.recipe = recipe
        self.output_dir = broadcast_object_list([self.output_dir if self._output_dir_given else next_free(recipe)])[0]
        folder = Path(str(self.output_dir))
        if folder.exists() and not folder.is_dir():
            raise InputError(f"--output_dir {folder}: is a file; name a folder")
        if not folder.exists() or not any(folder.iterdir()):
            return
        if not self.overwrite and not self.resume_from_checkpoint:
            raise InputError(
                f"--output_dir {folder}: holds {len(list(folder.iterdir()))} entries already; name a new folder, or "
                "give --overwrite to replace that run"
            )
        if not (folder / RUN_MARKER).exists():
            act = "--resume_from_checkpoint continues" if self.resume_from_checkpoint else "--overwrite replaces"
            raise InputError(
                f"--output_dir {folder}: {act} only a run, and this folder has no {RUN_MARKER}; name another"
            )

    def _find_last_checkpoint(self) -> None:
        """Settles `--resume_from_checkpoint auto`, the same on every process: a checkpoint, or a fresh start."""
        if not self._output_dir_given:
            raise InputError("--resume_from_checkpoint auto: name the run to go on with by --output_dir")
        folder = Path(str(self.output_dir))
        found, passed = last_whole_checkpoint(folder)
        self.resume_from_checkpoint = broadcast_object_list([None if found is None else str(found)])[0]
        # A run that was killed before its first checkpoint has nothing to lose.
        begun = (folder / RUN_MARKER).exists() and not (folder / "run.json").exists()
        self.overwrite = self.overwrite or (found is None and begun)
        if self.process_index == 0:
            for reason in passed:
                print(f"--resume_from_checkpoint auto: passed over {reason}", file=sys.stderr)
            where = f"going on from {found}" if found else f"no checkpoint in {folder}: training begins anew"
            print(f"--resume_from_checkpoint auto: {where}", file=sys.stderr)

    def choose_best_metric(self, preferred: str, directions: Mapping[str, bool]) -> None:
        """Settles the metric that picks the checkpoint, and its direction.

        Args:
            preferred: unless --metric_for_best_model names another.
            directions: the metrics of an evaluation, and of each whether higher is better.

        Raises:
            InputError: --metric_for_best_model is not one of them.
        """
        if not self._best_metric_given:
            self.metric_for_best_model, self.greater_is_better = preferred, directions.get(preferred, True)
            return
        name = str(self.metric_for_best_model)
        directions = {**directions, "loss": False}
        if name.removeprefix("eval_") not in directions:
            raise InputError(f"--metric_for_best_model {name} is not one of {', '.join(sorted(directions))}")
        if not self._direction_given:
            self.greater_is_better = directions[name.removeprefix("eval_")]

    def prepare_output_dir(self) -> None:
        """Claims the folder for this run, emptied where --overwrite was given; once the input is good.

        Without --output_dir it is the next free one by now: another run that started meanwhile may have taken the
        number that was free before. Call it on every process.

        Raises:
            InputError: another run has begun in --output_dir since, or is at work in it; or it can't be written to.
        """
        claimed, resumed = None, bool(self.resume_from_checkpoint)
        if self.process_index == 0:
            with Writing(str(self.output_dir)):
                if not self._output_dir_given:
                    claimed = claim_next_free(str(self.recipe))
                elif claim(str(self.output_dir), emptied=self.overwrite and not resumed, taken=resumed):
                    claimed = self.output_dir
        claimed = broadcast_object_list([claimed])[0]
        if claimed is None:
            event = "is at work there" if self.overwrite or resumed else "began there while this one read its data"
            wish = "one that no other uses: wait for its end, or" if self.overwrite or resumed else "an empty folder:"
            raise InputError(f"--output_dir {self.output_dir}: another run {event}; expected {wish} name another")
        self.output_dir = claimed
        wait_for_everyone()


def does_bf16_well(on_cpu: bool) -> bool:
    """Whether the hardware multiplies bfloat16 matrices faster than float32."""
    if not on_cpu:
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    # Without these instructions oneDNN emulates bfloat16 and is slower than float32.
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
