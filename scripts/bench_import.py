"""Seconds until `from llmtune import Report, compare` is there, and until a first report is made: a process each time.

    python scripts/bench_import.py [--times 5]

Prints the median and the range, and which of the heavy packages were imported. The first is to stay under 1.5 s.
"""

import argparse
import statistics
import subprocess
import sys

STEPS = {
    "import llmtune": "import llmtune",
    "from llmtune import Report, compare": "from llmtune import Report, compare",
    "and a report of 1,000 rows, as a page": (
        "from llmtune import Report, compare\n"
        "Report.from_predictions(['a', 'b'] * 500, ['a', 'b', 'b', 'b'] * 250)._repr_html_()"
    ),
}
HEAVY = ("torch", "transformers", "datasets", "pandas", "sklearn", "scipy", "matplotlib")
TIMED = """
import sys, time
before = time.perf_counter()
{step}
print(time.perf_counter() - before, *(name for name in {heavy} if name in sys.modules))
"""


def main() -> None:
    """Times each step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5, help="processes for each step")
    times = parser.parse_args().times
    for name, step in STEPS.items():
        script = TIMED.format(step=step, heavy=HEAVY)
        outputs = [subprocess.check_output([sys.executable, "-c", script], text=True).split() for _ in range(times)]
        seconds = sorted(float(output[0]) for output in outputs)
        imported = ", ".join(outputs[0][1:]) or "none of the heavy packages"
        print(f"{name}: {statistics.median(seconds):.2f} s ({seconds[0]:.2f} to {seconds[-1]:.2f}); {imported}")


if __name__ == "__main__":
    main()
