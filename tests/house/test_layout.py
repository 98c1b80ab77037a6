"""The house's own rules: small pieces, rooms in order, tests that can fail, nothing heavy on the doorstep."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "mathdnn").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
LONGEST_BODY = 50
LONGEST_FILE = 300
ASSERTING = re.compile(r"assert|raises|warns|check|expect|verify|fail|law|reject", re.IGNORECASE)
HEAVY = ("torch", "scipy", "sklearn", "matplotlib", "pandas", "onnxruntime", "jaxtyping")


def functions(path: Path) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]


def body_lines(function: ast.FunctionDef) -> int:
    body = function.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_pieces_are_small(path):
    assert path.read_text().count("\n") <= LONGEST_FILE
    assert [f.name for f in functions(path) if body_lines(f) > LONGEST_BODY] == []


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_every_module_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_every_test_can_fail(path):
    for function in functions(path):
        if function.name.startswith("test"):
            called = [ast.unparse(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)]
            asserts = any(isinstance(node, ast.Assert) for node in ast.walk(function))
            assert asserts or any(map(ASSERTING.search, called)), function.name


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_every_raises_says_what_it_expects(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("pytest.raises", "raises"):
            assert "match" in {keyword.arg for keyword in node.keywords}, f"line {node.lineno}"


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "oracles").rglob("*.py")), ids=relative)
def test_oracles_share_no_code_with_what_they_judge(path):
    assert "mathdnn" not in {name.split(".")[0] for name in imported(path)}


def imported(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return names


@pytest.mark.parametrize("module", ["mathdnn", "mathdnn.cli", "mathdnn.verdict", "mathdnn.homework", "mathdnn.data"])
def test_nothing_heavy_is_imported_on_the_doorstep(module):
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_resolve():
    import mathdnn

    for name in mathdnn.__all__:
        assert getattr(mathdnn, name) is not None, name


def test_rooms_import_only_the_rooms_under_them():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
