"""mathdnn prove: what it answers, how it ends, what is imported, and one sentence for each misuse."""

# ruff: noqa: E501 (sentences are compared whole)

from __future__ import annotations

import json
import re
import shutil
import sys

import pytest

from mathdnn.cli import main
from mathdnn.verdict import Verdict

CODE = """
import numpy as np
import torch
from torch.nn.functional import avg_pool2d

print("this module talks")

class Filters:
    @staticmethod
    def down(x):
        return x[..., 1:, :] - x[..., :-1, :]

class Layer(torch.nn.Module):
    def forward(self, x):
        return x

layer = torch.nn.Conv2d(1, 2, 3, padding=1)
net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
wide = torch.nn.Conv2d(3, 64, 7)
with torch.no_grad():
    wide.weight.copy_((torch.arange(9408) / 9409).reshape(wide.weight.shape))
    wide.bias.copy_(torch.arange(64) / 65 - 0.5)
number = 3

def blur(x):
    print("so does this function")
    return avg_pool2d(x, 3, 1, 1)

def rows(x):
    return x[1:] - x[:-1]

def relu(x):
    return x.relu()

def hidden(x):
    return x if float(x.sum()) > -1e30 else 2 * x

def boom(x):
    raise RuntimeError("no way")

def slow(x):
    while True:
        pass

def cube(x):
    return x * x * x

def halves(x):
    return x.to(torch.float64)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current directory, with a user's modules in it; they are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    (tmp_path / "filters.py").write_text(CODE)
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "leaves.py").write_text("raise SystemExit(7)")
    (tmp_path / "needs.py").write_text("import no_such_library")
    (tmp_path / "typo.py").write_text("def f(x:\n")
    (tmp_path / "file").write_text("")
    yield tmp_path
    for name in set(sys.modules) - before:
        if name in ("filters", "broken", "leaves", "needs", "typo"):
            del sys.modules[name]


ANSWERS = {
    "conv": (["conv", "filters:blur", "--shape", "1,8,8"], 0, "PROVED: on 1 x 8 x 8 images, and for every height"),
    "a layer": (["conv", "filters:layer", "--shape", "1,8,8"], 0, "PROVED: on 1 x 8 x 8 images, and for every height"),
    "dots": (["conv", "filters:Filters.down", "--shape", "5,6"], 0, "PROVED: on 5 x 6 images, and for every height"),
    "float64": (["conv", "filters:blur", "--shape", "1,8,8", "--dtype", "float64"], 0, "PROVED: on 1 x 8 x 8 images"),
    "opaque": (["conv", "filters:rows", "--shape", "5,6", "--opaque"], 0, "PROVED: on 5 x 6 images, the operation's"),
    "not affine": (["conv", "filters:relu", "--shape", "1,4,4"], 1, "REFUTED: on 1 x 4 x 4 images, the operation is"),
    "unread": (["conv", "filters:hidden", "--shape", "1,4,4"], 1, "UNDECIDED: on 1 x 4 x 4 images, the operation is"),
    "monotone": (["monotone", "torch.tanh", "--dtype", "float16"], 0, "PROVED: torch.tanh (torch "),
    "falls": (["monotone", "torch.sin", "--dtype", "bfloat16"], 1, "REFUTED: torch.sin (torch "),
    "mine": (["monotone", "filters:cube", "--dtype", "float16"], 0, "PROVED: cube (torch "),
    "imported": (["monotone", "torch:tanh", "--dtype", "bfloat16"], 0, "PROVED: torch.tanh (torch "),
    "numpy": (["monotone", "numpy.sinh", "--dtype", "float16"], 0, "PROVED: numpy.sinh (numpy "),
    "pooling": (["monotone", "torch.relu", "--dtype", "float16", "--max-pool"], 0, "PROVED: torch.relu commutes with"),
    "no pooling": (
        ["monotone", "torch.sin", "--dtype", "float16", "--max-pool"],
        1,
        "REFUTED: torch.sin commutes with",
    ),
    "gradient": (["gradient", "2-3-1"], 0, "PROVED: 8 closed forms of derivatives are right for 2-3-1"),
    "several": (["gradient", "2-2-1", "1-1-1/1/2,-3"], 0, "PROVED: 16 closed forms of derivatives are right for 2-2-1"),
    "tanh": (["gradient", "3-5-1/tanh"], 0, "SUPPORTED: 5 closed forms of derivatives are right for 3-5-1/tanh; the"),
    "one of them": (["gradient", "2-3-1", "--of", "dyL/dx"], 0, "PROVED: dy_L/dx = A_L diag(sigma'(z_{L-1})) A_{L-1}"),
    "typed": (
        ["gradient", "2-3-1", "--of", "dyl/dyl-1", "--formula", "diag(s[l]) @ A[l]"],
        0,
        "PROVED: dyl/dyl-1 = diag(s[l]) @ A[l] for every 2-3-1",
    ),
    "typed wrong": (
        ["gradient", "2-3-1", "2-2-1/0,1,1", "--of", "dyl/dyl-1", "--formula", "A[l]"],
        1,
        "REFUTED: dyl/dyl-1 = A[l] for every 2-3-1 perceptron",
    ),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_the_answer_and_the_exit_code(case, capsys):
    argv, code, words = ANSWERS[case]
    assert main(["prove", *argv]) == code
    assert capsys.readouterr().out.startswith(words)


@pytest.mark.parametrize("case", ["conv", "not affine", "monotone", "gradient", "tanh"])
def test_json_and_file_are_the_same_verdict(case, folder, capsys):
    argv, code, words = ANSWERS[case]
    assert main(["prove", *argv, "--json", "--save", "saved.json"]) == code
    out = capsys.readouterr().out
    printed, saved = json.loads(out), Verdict.from_json((folder / "saved.json").read_bytes())
    assert printed == saved.to_plain()
    assert str(saved).startswith(words)
    assert [path.name for path in folder.iterdir() if path.name.endswith("tmp")] == []


def test_what_the_users_code_prints_is_not_the_answer(capsys):
    assert main(["prove", "conv", "filters:blur", "--shape", "1,5,5", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["status"] == "proved"
    assert "this module talks\n" in err
    assert "so does this function\n" in err


def test_the_path_of_python_is_left_as_it_was():
    before = list(sys.path)
    assert main(["prove", "conv", "filters:relu", "--shape", "2,2"]) == 1
    assert sys.path == before


HERE = "check the name, or run in the folder that holds it."
NAMED = "mathdnn: prove conv {0}: expected "
MISUSE = {
    "no module": (["conv", "nowhere:f"], "a module that Python can import, got no module nowhere; " + HERE),
    "no submodule": (
        ["conv", "json.nowhere:f"],
        "a module that Python can import, got no module json.nowhere; " + HERE,
    ),
    "no attribute": (
        ["conv", "filters:none"],
        "none in filters, got the module filters without none; check the name.",
    ),
    "no colon": (["conv", "filters.blur"], "MODULE:NAME, got 'filters.blur'; write it as in filters:blur."),
    "code": (["conv", "os:system('ls')"], "MODULE:NAME, got \"os:system('ls')\"; write it as in filters:blur."),
    "fails": (
        ["conv", "broken:f"],
        (
            "a module that imports without an error, got broken, which raises ZeroDivisionError: division by zero; mend "
            "the module."
        ),
    ),
    "needs": (
        ["conv", "needs:f"],
        (
            "a module that imports without an error, got needs, which raises ModuleNotFoundError: No module named "
            "'no_such_library'; mend the module."
        ),
    ),
    "leaves": (["conv", "leaves:f"], "code that returns, got SystemExit(7); let it return."),
    "a class": (
        ["conv", "filters:Layer"],
        "an operation, got the class Layer; name a function, or an object made from the class.",
    ),
}


@pytest.mark.parametrize("case", MISUSE)
def test_code_that_cannot_be_asked_about(case, capsys):
    argv, words = MISUSE[case]
    assert main(["prove", *argv, "--shape", "1,4,4"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == NAMED.format(argv[1]) + words


def test_a_module_that_is_no_python_names_its_line(capsys):
    assert main(["prove", "conv", "typo:f", "--shape", "1,4,4"]) == 2
    assert capsys.readouterr().err.startswith(
        "mathdnn: prove conv typo:f: expected a module that imports without an error, got typo, which raises SyntaxError: "
    )


SENTENCES = {
    "raises": (
        ["conv", "filters:boom", "--shape", "1,4,4"],
        ("prove conv: expected an operation that runs on a torch.float32 image of shape (1, 1, 4, 4), got RuntimeError: no "
        "way; check the operation and the shape."),
    ),
    "shape": (
        ["conv", "filters:blur", "--shape", "one"],
        "prove conv --shape: expected whole numbers, as in 1,28,28, got 'one'; write them so.",
    ),
    "negative shape": (
        ["conv", "filters:blur", "--shape=-1,2"],
        "prove conv --shape: expected whole numbers, as in 1,28,28, got '-1,2'; write them so.",
    ),
    "empty shape": (
        ["conv", "filters:blur", "--shape", "0,4"],
        ("prove conv --shape: expected (H, W), (C, H, W) or (N, C, H, W) with positive whole numbers, got (0, 4); "
        "give the shape of one image."),
    ),
    "seconds": (
        ["conv", "filters:blur", "--shape", "4,4", "--time-limit", "-1"],
        "prove conv --time-limit: expected seconds from above 0 to 86400, got -1; give a time limit.",
    ),
    "nan seconds": (
        ["conv", "filters:blur", "--shape", "4,4", "--time-limit", "nan"],
        "prove conv --time-limit: expected seconds from above 0 to 86400, got nan; give a time limit.",
    ),
    "save": (
        ["conv", "filters:blur", "--shape", "4,4", "--save", "none/x.json"],
        ("prove conv --save none/x.json: expected a file in a folder that may be written, got no folder none; name another "
        "file."),
    ),
    "save a folder": (
        ["gradient", "2-2-1", "--save", "."],
        "prove gradient --save .: expected a file in a folder that may be written, got a folder; name another file.",
    ),
    "function": (
        ["monotone", "torch.nothing"],
        ("prove monotone: expected a callable, or a name such as torch.tanh, torch.nn.functional.gelu, numpy.tanh, "
        "onnx:Tanh, got 'torch.nothing'; give a name that these libraries have."),
    ),
    "another format": (
        ["monotone", "filters:halves", "--dtype", "float16"],
        "prove monotone: expected float16 from float16, got float64; give an elementwise function of one format.",
    ),
    "no function": (
        ["monotone", "filters:number", "--dtype", "float16"],
        "prove monotone: expected a callable or a name, got int 3; pass a function.",
    ),
    "threads": (
        ["monotone", "torch.tanh", "--threads", "0"],
        "prove monotone --threads: expected 1 to 1024, got 0; leave it out.",
    ),
    "runs for ever": (
        ["monotone", "filters:slow", "--dtype", "float16", "--time-limit", "0.3"],
        ("prove monotone: expected an answer within 0.3 s for 128 values of float16, got slow, which was still running; "
        "give a function that ends, or a larger --time-limit."),
    ),
    "no time": (
        ["monotone", "torch.tanh", "--time-limit", "0"],
        "prove monotone --time-limit: expected seconds from above 0 to 86400, got 0; give a time limit.",
    ),
    "cache and none": (
        ["monotone", "torch.tanh", "--cache", "kept", "--no-cache"],
        "prove monotone --cache kept: expected a folder or --no-cache, got both; leave one out.",
    ),
    "cache is a file": (
        ["monotone", "torch.tanh", "--cache", "filters.py"],
        "prove monotone --cache filters.py: expected a folder, or a place for one, got a file; name another folder.",
    ),
    "widths": (
        ["gradient", "2x3x1"],
        "prove gradient 2x3x1: expected whole numbers, as in 2-3-2-1, got '2x3x1'; write them so.",
    ),
    "no width": (
        ["gradient", "2-0-1/tanh"],
        "prove gradient 2-0-1/tanh: expected widths n_0-...-n_L, at least two, each at least 1, got 2-0-1; write more.",
    ),
    "too wide": (
        ["gradient", "50-50-1"],
        ("prove gradient: expected n_0..n_L with 2 <= L <= 5, each at least 1, and at most 64 weights together, got "
        "(50, 50, 1); take a smaller shape."),
    ),
    "far too wide": (
        ["gradient", "999999999-2-1/tanh"],
        ("prove gradient 999999999-2-1/tanh: expected Jacobians of at most 1,000,000 numbers, got 2,000,000,003; take a "
        "smaller shape."),
    ),
    "of": (
        ["gradient", "2-2-1", "--of", "dx"],
        ("prove gradient --of: expected one of dyL/dbL, dyL/dyL-1, dyl/dbl, dyl/dyl-1, dyL/dAL, dyL/dAl, dyL/dbl, dyL/dx, got "
        "'dx'; choose one."),
    ),
    "formula alone": (
        ["gradient", "2-2-1", "--formula", "I"],
        "prove gradient --formula: expected the derivative that it is, got none; add --of dyL/dAl, say.",
    ),
    "formula and tanh": (
        ["gradient", "2-2-1/tanh", "--of", "dyL/dbL", "--formula", "I"],
        "prove gradient --formula: expected any sigma, or a polynomial, got 2-2-1/tanh; give widths alone: the exact check holds for every differentiable sigma.",
    ),
    "of and tanh": (
        ["gradient", "2-2-1/tanh", "--of", "dyL/dbL"],
        ("prove gradient 2-2-1/tanh: expected all derivatives together, with a named activation, got --of dyL/dbL; leave the "
        "activation out: the exact check holds for every differentiable one."),
    ),
    "no perceptron": (
        ["gradient", "filters:layer"],
        "prove gradient: expected an nn.Sequential, got Conv2d; wrap the layers in one.",
    ),
    "one width": (
        ["gradient", "5"],
        "prove gradient 5: expected widths n_0-...-n_L, at least two, each at least 1, got 5; write more.",
    ),
    "no place for the picture": (
        ["gradient", "2-2-1", "--picture", "none/f.svg"],
        "prove gradient --picture none/f.svg: expected a file in a folder that may be written, got no folder none; name another file.",
    ),
    "module and formula": (
        ["gradient", "filters:net", "--of", "dyL/dbL", "--formula", "I"],
        "prove gradient --formula: expected any sigma, or a polynomial, got filters:net; give widths alone: the exact check holds for every differentiable sigma.",
    ),
    "no command": (["banana"], ('Unknown command "banana". Available commands: conv, monotone, gradient. See mathdnn prove '
                   "--help.")),
}  # fmt: skip


@pytest.mark.parametrize("case", SENTENCES)
def test_misuse_is_one_sentence(case, folder, capsys):
    argv, words = SENTENCES[case]
    before = sorted(path.name for path in folder.iterdir())
    assert main(["prove", *argv]) == 2
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[-1]) == ("", f"mathdnn: {words}")
    after = sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")
    assert after == [name for name in before if name != "__pycache__"]


@pytest.fixture(autouse=True)
def users_folder(tmp_path, monkeypatch):
    """Where scans are kept unless a folder is named: no test touches the user's own."""
    monkeypatch.setattr("mathdnn.monotone.cache.default_folder", lambda: tmp_path / "users")
    return tmp_path / "users"


@pytest.mark.slow
def test_scans_of_named_functions_are_kept_and_found_again(folder, users_folder, capsys):
    asked = ["prove", "monotone", "torch.relu"]
    assert main([*asked, "--dtype", "float16"]) == 0  # takes milliseconds
    assert main([*asked, "--no-cache"]) == 0
    assert not users_folder.exists()
    first = capsys.readouterr().out.split("PROVED: ")[-1]
    assert main(asked) == 0
    assert capsys.readouterr().out == f"PROVED: {first}"
    (path,) = users_folder.iterdir()
    (folder / "kept").mkdir()
    shutil.copy2(path, folder / "kept")
    for option, kept in ([], users_folder), (["--cache", "kept"], folder / "kept"):
        (path,) = kept.iterdir()
        written = path.stat().st_mtime_ns
        assert main([*asked, *option]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert "  assuming: the scan that an earlier run kept is this function's (" in "\n".join(lines)
        assert [line for line in lines if "that an earlier run kept" not in line] == f"PROVED: {first}".splitlines()
        assert path.stat().st_mtime_ns == written


@pytest.mark.parametrize("sigma", ["nope", "1,", ",1", "1e9", "1/0", "1,2,3,4,5,6,7", "", "x"])
def test_no_activation_is_made_of_something_else(sigma, capsys):
    assert main(["prove", "gradient", f"2-2-1/{sigma}"]) == 2
    words = f"mathdnn: prove gradient 2-2-1/{sigma}: expected up to six coefficients, or one of identity, tanh, "
    assert capsys.readouterr().err.startswith(words)


def test_a_module_of_ones_own_is_held_against_autograd(capsys):
    assert main(["prove", "gradient", "filters:net"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "SUPPORTED: 5 closed forms of derivatives are right for filters:net; the worst: the closed form "
    )
    assert "agrees with autograd in float64 for this module, at 8 inputs\n" in out


def test_the_chain_and_the_picture_of_a_network(folder, capsys):
    assert main(["prove", "gradient", "filters:net", "--explain", "--picture", "f.svg"]) == 0
    out = capsys.readouterr().out
    assert "\n  dy_2/dy_1 = A_2   (2 x 4)\n" in out
    assert "\n|dy_2/dy_1| = " in out
    assert out.endswith("\ndrawn: f.svg\n")
    assert "spectral norm of dy_L/dy_l" in (folder / "f.svg").read_text()


def test_the_chain_of_any_sigma_in_latex(capsys):
    assert main(["prove", "gradient", "2-3-1", "--latex"]) == 0
    assert (
        r"y_{1} &= \sigma_{1}\left(A_{1} y_{0} + b_{1}\right) \in \mathbb{R}^{3},\quad \sigma_{1}(t) = \sigma(t) \\"
        in (capsys.readouterr().out)
    )


def test_a_polynomial_is_written_as_a_person_would(capsys):
    assert main(["prove", "gradient", "1-2-1/1,0,-1/2", "--explain", "--picture", "f.svg"]) == 0
    out = capsys.readouterr().out
    assert "\n  y_1 = sigma(A_1 y_0 + b_1)   A_1: 2 x 1, y_1: 2\n" in out
    assert "\n  where sigma(t) = 1 - 1/2 t^2\n" in out
    assert out.endswith("\ndrawn: f.svg (with random weights)\n")


def test_json_is_one_document_whatever_else_is_asked(folder, capsys):
    assert main(["prove", "gradient", "2-3-1", "--json", "--explain", "--picture", "f.svg"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "proved"
    assert (folder / "f.svg").exists()


def test_the_difference_in_floats_is_said_and_no_less_than_the_certificates(folder, capsys):
    assert main(["prove", "conv", "filters:blur", "--shape", "1,8,8", "--save", "saved.json"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "float32" in line)
    found = re.fullmatch(
        r"  computed in float32 on this size, the two differ by at most (\S+) times the largest pixel "
        r"\(sums of products in any order, without Winograd or FFT, overflow and underflow\)",
        line,
    )
    exact = Verdict.from_json((folder / "saved.json").read_bytes()).evidence.data["rounding"]
    assert exact["slope"] <= float(found[1]) <= 1.1 * exact["slope"]
    assert exact["offset"] == 0


def test_many_weights_are_a_line_on_the_terminal_and_all_there_in_the_file(folder, capsys):
    assert main(["prove", "conv", "filters:wide", "--shape", "3,12,12", "--save", "saved.json"]) == 0
    first, *_ = out = capsys.readouterr().out.splitlines()
    assert first.endswith(" padding 0, bias of 64 numbers from -0.5 to 0.4692, weight of 9408 numbers from 0 to 0.9998")
    assert max(map(len, out)) < 400
    form = Verdict.from_json((folder / "saved.json").read_bytes()).evidence.data["right"]["form"]
    assert len(re.findall(r"\d+/\d+", json.dumps(form))) > 4000


def test_an_operation_that_runs_for_ever_ends(capsys):
    assert main(["prove", "conv", "filters:slow", "--shape", "1,4,4", "--time-limit", "0.2"]) == 2
    assert capsys.readouterr().err.count("\n") == 2  # the module talks, and one sentence


def test_what_every_network_rests_on_is_told(folder, capsys):
    assert main(["prove", "gradient", "2-3-1", "2-2-1/tanh", "filters:net"]) == 0
    said = capsys.readouterr().out
    assert "SUPPORTED: 18 closed forms of derivatives are right for 2-3-1, 2-2-1/tanh, filters:net; the worst: " in said
    for words in ("this is about the given widths", "random networks stand for all", "random inputs stand for all"):
        assert words in said
    assert "equality" not in said


@pytest.mark.parametrize("command", ["conv", "monotone", "gradient"])
def test_help_fits_a_screen_and_has_examples(command, capsys):
    assert main(["prove", command, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"Examples:\n\nmathdnn prove {command} " in out
    assert max(map(len, out.splitlines())) <= 80
    assert out.count("\n") < 40
