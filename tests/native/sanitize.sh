#!/bin/sh
# The native tests under the address and undefined-behaviour sanitizers: sh tests/native/sanitize.sh [python]
# Builds into an environment of its own beside the given one (default .venv/bin/python), which stays as it is.
set -eu
cd "$(dirname "$0")/../.."
python=${1:-.venv/bin/python}
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
"$python" -m pip install -q --no-build-isolation --no-deps --target "$site" \
    --config-settings=cmake.define.MATHDNN_SANITIZE=ON --config-settings=build-dir=build/sanitize .
# An editable installation would come first: its finder is taken out, and the tests must load what was just built.
echo 'import sys; sys.meta_path[:] = [f for f in sys.meta_path if "Redirecting" not in type(f).__name__]' > "$site/sitecustomize.py"
run() {
    LD_PRELOAD="$(c++ -print-file-name=libasan.so) $(c++ -print-file-name=libubsan.so)" \
        ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONPATH="$site" \
        "$python" "$@"
}
run -c "import mathdnn.native._native as k; assert k.__file__.startswith('$site'), k.__file__"
# Leaks are not looked for: the interpreter keeps memory on purpose. numpy and torch are not instrumented.
run -m pytest -q -s -p no:cacheprovider -m "not slow" tests/native
