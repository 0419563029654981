"""From an empty folder to the predictions of a person's own csv, by the README's commands alone, as a transcript.

    python scripts/first_minutes.py CLONE                            # its own environment: minutes
    python scripts/first_minutes.py CLONE --environment /path/.venv  # in one that is there: nothing is installed

CLONE is a repository to clone (a folder, or an address). The README's first block is run on messages with ids and the
labels junk and legit, its second on a csv of one word a row. No Hub is asked: `--model_type bert`, small and from
scratch, stands in the place of the checkpoints. Ends with 1 where a command fails or an answer is not there.
"""

import argparse
import csv
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

SMALL = "--model_type bert --max_steps 2 --cpu_threads 1 --config_overrides "
SMALL += "hidden_size=16,num_attention_heads=2,intermediate_size=32,num_hidden_layers=1"
MOST_COMMANDS = 8
WORDS = (("Ada", "B-PER"), ("Lovelace", "I-PER"), ("met", "O"), ("Babbage", "B-PER"), ("in", "O"), ("Paris", "B-LOC"))


def start_blocks(readme: str) -> list[str]:
    """The blocks of commands under the heading Start: for texts, for entities."""
    start = readme.partition("## Start\n")[2].partition("\n## ")[0]
    return re.findall(r"```bash\n(.*?)```", start, flags=re.DOTALL)


def offline_lines(block: str) -> list[str]:
    """Its commands, a line each, with a small model from scratch for those of the Hub."""
    lines = block.replace("\\\n", " ").splitlines()
    return [re.sub(r"--model_name_or_path \S+", SMALL, line) for line in lines]


def write_files(folder: Path) -> None:
    """A person's files, named as in the README: messages.csv and new.csv with ids, words.csv, letters.txt."""
    draw = random.Random(0)
    texts = [(f"{draw.choice(['win', 'free'])} cash {i}", "junk") for i in range(40)]
    texts += [(f"{draw.choice(['see', 'meet'])} you {i}", "legit") for i in range(80)]
    _write_csv(folder / "messages.csv", [("message", "class"), *texts])
    _write_csv(folder / "new.csv", [("nr", "message"), ("a7", "free cash"), ("b9", "see you, then")])
    words = [(s, word if tag != "O" else f"{word}{s}", tag) for s in range(60) for word, tag in WORDS]
    _write_csv(folder / "words.csv", [("sentence", "word", "tag"), *words])
    (folder / "letters.txt").write_text("Ada met Babbage in Paris\n", encoding="utf-8")


def _write_csv(path: Path, rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def run_block(source: str, block: int, environment: Path | None) -> str:
    """Clones into an empty folder and runs one block of its README.

    Returns:
        what the predictions file holds.
    """
    with tempfile.TemporaryDirectory(prefix="llmtune-first-") as folder:
        subprocess.run(["git", "clone", "--quiet", source, "llmtune"], cwd=folder, check=True)
        clone = Path(folder) / "llmtune"
        blocks = start_blocks((clone / "README.md").read_text(encoding="utf-8"))
        # The second block goes on where the first one has made and activated the environment.
        begin = offline_lines(blocks[0])[:2]
        lines = [*begin, *(line for line in offline_lines(blocks[block]) if line not in begin)]
        assert 1 + len(lines) <= MOST_COMMANDS, f"{1 + len(lines)} commands with git clone"
        print(f"\n$ git clone {source} llmtune && cd llmtune", flush=True)
        write_files(clone)
        if environment is not None:
            (clone / ".venv").symlink_to(environment.resolve())
            lines = [line for line in lines if not line.startswith("bash scripts/quickstart")]
        shown = "\n".join(f"cat <<'LINE'\n$ {line}\nLINE\n{line}" for line in lines)
        # In an environment that is there another llmtune may be installed: this clone goes first.
        path = {"PYTHONPATH": str(clone)} if environment is not None else {}
        subprocess.run(["bash", "-ec", shown], cwd=clone, check=True, env={**os.environ, **path})
        output = re.search(r"--output (\S+)", lines[-1])
        assert output is not None, "the last command writes the predictions"
        return (clone / output[1]).read_text(encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Both blocks; 1 where an answer is not there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clone", help="repository to clone")
    parser.add_argument("--environment", type=Path, help="a virtual environment that is there")
    arguments = parser.parse_args(argv)
    for block, expected in enumerate((("nr", "a7", "b9", "prediction"), ("Babbage",))):
        written = run_block(arguments.clone, block, arguments.environment)
        print(f"\n{written}", flush=True)
        missing = [word for word in expected if word not in written]
        if missing:
            print(f"the predictions lack {', '.join(missing)}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
