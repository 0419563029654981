# Sourced by quickstart and test: the environment in .venv at the root, made once and again when its inputs change.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON=${PYTHON:-$(command -v python3.11 || command -v python3.12 || command -v python3)}
if ! "$PYTHON" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))'; then
    echo "llmtune needs Python 3.11 or 3.12; found $("$PYTHON" --version) at $PYTHON. Set PYTHON=/path/to/python3.11" >&2
    exit 2
fi
wanted=$("$PYTHON" --version; cat pyproject.toml scripts/constraints.txt)
if [ ! -x .venv/bin/llmtune ] || [ "$wanted" != "$(cat .venv/.installed 2>/dev/null)" ]; then
    echo "making .venv with $("$PYTHON" --version) (some minutes, once)" >&2
    [ -x .venv/bin/python ] || "$PYTHON" -m venv .venv
    .venv/bin/python -m pip install --quiet --constraint scripts/constraints.txt --editable '.[test]'
    printf '%s' "$wanted" > .venv/.installed
fi
export PATH="$PWD/.venv/bin:$PATH"
