import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_script_writes_the_shipped_file_byte_for_byte(tmp_path):
    command = [sys.executable, ROOT / "scripts" / "make_forecasting_demo_data.py", "--output_dir", tmp_path]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "7"})

    shipped = ROOT / "recipes" / "demo" / "forecasting" / "series.csv"
    assert (tmp_path / "forecasting" / "series.csv").read_bytes() == shipped.read_bytes()
