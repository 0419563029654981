"""A recipe whose second process has a fault of its own, run by test_failing_processes.py.

    accelerate launch --multi_gpu --num_processes 2 fail_on_processes.py FAULT FOLDER FLAG …

FAULT: missing (its file), rows (its file has a row less), crash or hang (in an optimizer step).
"""

import os
import runpy
import sys
import time
from pathlib import Path
from typing import Any

from llmtune.training.trainer import FineTuningTrainer

RECIPE = Path(__file__).parents[2] / "recipes" / "spam.py"
stock_step = FineTuningTrainer.training_step


def faulty_step(trainer: FineTuningTrainer, *args: Any, **kwargs: Any) -> Any:
    """The second optimizer step of the second process never comes."""
    if trainer.state.global_step == 1:
        if FAULT == "crash":
            raise RuntimeError("the second process broke")
        time.sleep(300)
    return stock_step(trainer, *args, **kwargs)


if __name__ == "__main__":
    FAULT, folder, *flags = sys.argv[1:]
    second = os.environ["RANK"] == "1"
    file = {"missing": "missing.jsonl", "rows": "fewer.jsonl"}.get(FAULT, "rows.jsonl") if second else "rows.jsonl"
    if second and FAULT in ("crash", "hang"):
        FineTuningTrainer.training_step = faulty_step  # type: ignore[method-assign]
    sys.argv = [str(RECIPE), "--train_file", str(Path(folder, file)), "--output_dir", str(Path(folder, FAULT)), *flags]
    runpy.run_path(str(RECIPE), run_name="__main__")
