"""`python -m llmtune.commands.launch RECIPE.py …`: `accelerate launch`, with the exit code of the process that failed.

accelerate's own is 1 whatever happened, below two tracebacks of its own.
"""

import subprocess
import sys

from accelerate.commands.launch import main as accelerate_launch
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError


def main() -> None:
    """Launches, and ends with the exit code of the first process that failed; 128 + the number of a signal."""
    code = 0
    try:
        accelerate_launch()
    except ChildFailedError as error:
        process, failure = error.get_first_failure()
        code = failure.exitcode
        print(f"process {process} ended with exit code {code}: {failure.message}", file=sys.stderr)
    except subprocess.CalledProcessError as error:
        code = error.returncode
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
