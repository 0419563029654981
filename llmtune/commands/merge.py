"""`llmtune merge RUN --output_dir D`: the adapter of a LoRA run added to its base, as plain weights."""

from pathlib import Path

from llmtune.commands.models import load_task
from llmtune.errors import InputError
from llmtune.models.checkpoints import merge_run
from llmtune.terminal.console import Terminal


def merge(*, run_folder: str, output_dir: str) -> None:
    """Writes the merged weights and says how far they differ from the adapter model."""
    if not Path(run_folder).is_dir():
        raise InputError(
            f"{run_folder}: no such folder; give the --output_dir of a recipe that was run with --use_peft"
        )
    terminal = Terminal()
    task = load_task(run_folder)
    drift = merge_run(run_folder, output_dir, task.auto_model)
    terminal.block(
        "Merge",
        [
            f"{run_folder} → {output_dir}: plain weights, for from_pretrained without peft",
            f"read back, the logits of random tokens differ by at most {drift:.2g}",
        ],
    )
