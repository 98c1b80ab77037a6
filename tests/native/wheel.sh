#!/bin/sh
# The wheel, installed away from this checkout, holds the kernels, MNIST and the report's templates:
# sh tests/native/wheel.sh [python]
set -eu
cd "$(dirname "$0")/../.."
python=$(realpath -s "${1:-.venv/bin/python}")
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
"$python" -m pip wheel -q --no-build-isolation --no-deps --config-settings=build-dir=build/wheel -w "$site/dist" .
"$python" -m pip install -q --no-deps --target "$site/lib" "$site"/dist/*.whl
# An editable installation would come first: its finder is taken out.
echo 'import sys; sys.meta_path[:] = [f for f in sys.meta_path if "Redirecting" not in type(f).__name__]' > "$site/lib/sitecustomize.py"
cd "$site"
export PYTHONPATH="$site/lib"
"$python" -c "import mathdnn.native._native as k; assert k.__file__.startswith('$site'), k.__file__"
"$python" -m mathdnn.cli reproduce 3 --out reproduction > answers.txt || { cat answers.txt; exit 1; }
"$python" -m mathdnn.cli train lenet5 --engine native --epochs 1 --json > run.json
test -s reproduction/index.html
echo "the wheel stands alone: $(ls dist)"
