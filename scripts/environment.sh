# Sourced by quickstart and test: the environment at the root, made once and again when its inputs change. With
# TRANSFORMERS=5.24.0 it is another one, beside .venv, of that version and all the same pins.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON=${PYTHON:-$(command -v python3.11 || command -v python3.12 || command -v python3)}
if ! "$PYTHON" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))'; then
    echo "llmtune needs Python 3.11 or 3.12; found $("$PYTHON" --version) at $PYTHON. Set PYTHON=/path/to/python3.11" >&2
    exit 2
fi
environment=.venv${TRANSFORMERS:+-transformers-$TRANSFORMERS}
pins=$(sed "${TRANSFORMERS:+s/^transformers==.*/transformers==$TRANSFORMERS/}" scripts/constraints.txt)
wanted=$("$PYTHON" --version; cat pyproject.toml; printf '%s' "$pins")
if [ ! -x "$environment/bin/llmtune" ] || [ "$wanted" != "$(cat "$environment/.installed" 2>/dev/null)" ]; then
    echo "making $environment with $("$PYTHON" --version) (some minutes, once)" >&2
    [ -x "$environment/bin/python" ] || "$PYTHON" -m venv "$environment"
    printf '%s\n' "$pins" > "$environment/constraints.txt"
    # --use-pep517: seqeval comes as sources, and its old setup.py would fetch a setuptools_scm that misses its own parts.
    "$environment/bin/python" -m pip install --quiet --use-pep517 --constraint "$environment/constraints.txt" \
        --editable '.[test]'
    printf '%s' "$wanted" > "$environment/.installed"
fi
export PATH="$PWD/$environment/bin:$PATH"
