"""mathdnn grade: right with a certificate, wrong with why; numbers handed in are data, whatever is in the file."""

# ruff: noqa: E501 (sentences are compared whole)

from __future__ import annotations

import json
import pickle
import re
from fractions import Fraction

import numpy as np
import pytest

from mathdnn.cli import main
from mathdnn.convolution.catalogue import CATALOGUE
from mathdnn.verdict import Status, Verdict
from mathdnn.verify import verify

RIGHT_DIFFERENCES = [[[0, 0, 0], [0, -1, 0], [0, 1, 0]], [[0, 0, 0], [0, -1, 1], [0, 0, 0]]]
SHIFTED = [[[-1, 0, 0], [1, 0, 0], [0, 0, 0]], [[-1, 1, 0], [0, 0, 0], [0, 0, 0]]]
SOBEL = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]
DIFFERENCES = ["conv", "--target", "finite-difference", "--padding", "1"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def grade_conv(weight, *argv):
    return main(["grade", *argv, "--weight", weight if isinstance(weight, str) else json.dumps(weight)])


@pytest.mark.parametrize("form", ["typed", "json", "npy", "float32", "fortran", "four"])
def test_a_right_kernel_is_right_however_it_is_handed_in(form, folder, capsys):
    array = np.array(RIGHT_DIFFERENCES)
    (folder / "k.json").write_text(json.dumps(RIGHT_DIFFERENCES))
    np.save(folder / "npy.npy", array)
    np.save(folder / "float32.npy", array.astype(np.float32))
    np.save(folder / "fortran.npy", np.asfortranarray(array.astype(">i2")))
    weight = {"typed": RIGHT_DIFFERENCES, "four": array[:, None].tolist(), "json": "k.json"}.get(form, f"{form}.npy")
    assert grade_conv(weight, *DIFFERENCES) == 0
    assert (
        capsys.readouterr()
        .out.splitlines()[0]
        .endswith("RIGHT: on 1 x 7 x 8 images, the convolution handed in computes finite-difference")
    )


@pytest.mark.parametrize(
    ("kernel", "remark"),
    [
        (
            SHIFTED,
            (
                "It is the right kernel shifted by (-1, -1): each output reads the pixels that far off; it would be right "
                "without padding at the top and left, and with 2 at the bottom and 2 at the right."
            ),
        ),
        (RIGHT_DIFFERENCES[::-1], "It is the right kernel transposed (rows and columns exchanged)."),
        ((-2 * np.array(RIGHT_DIFFERENCES)).tolist(), "It is the right kernel times -2."),
    ],
    ids=["shifted", "transposed", "scaled"],
)
def test_a_wrong_kernel_is_shown_and_explained(kernel, remark, capsys):
    assert grade_conv(kernel, *DIFFERENCES) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first == "WRONG: on 1 x 7 x 8 images, the convolution handed in computes finite-difference"
    assert second.startswith("  For the 1 x ")
    assert remark in second


def test_the_solutions_kernel_is_right_without_padding_at_the_top_and_left(capsys):
    assert grade_conv(SHIFTED, "conv", "--target", "finite-difference", "--padding", "0,2,0,2") == 0
    assert capsys.readouterr().out.startswith("RIGHT: ")


def test_a_shift_by_the_padding_of_another_size_promises_nothing(capsys):
    kernel = [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert grade_conv(kernel, "conv", "--target", "identity", "--padding", "2") == 1
    assert capsys.readouterr().out.endswith(
        "shifted by (-2, -2): each output reads the pixels that far off. Besides, the padding is wrong (the output is "
        "9 x 10, and the target's is 7 x 8).\n"
    )


def test_a_padding_that_should_not_be_there_is_told(capsys):
    assert grade_conv([[1]], "conv", "--target", "identity", "--padding", "2") == 1
    assert capsys.readouterr().out.endswith("The kernel is right, and the padding is not: 2, where the target has 0.\n")


NEAR = np.full((3, 3), 0.11111111)
OFF = {
    "eight weights": (np.where(np.eye(9)[4].reshape(3, 3), NEAR, 7), ["box-3", "--padding", "1"], "at output (0, 0, 0)."),
    "a rounding": (NEAR, ["box-3", "--padding", "1"], (
        "The two differ only by a rounding of the weights. It is the right kernel times 99999999/100000000.")),
    "stride": (NEAR, ["box-3", "--padding", "1", "--stride", "2"], (
        "The stride is (2, 2), and it should be (1, 1). It is the right kernel times 99999999/100000000.")),
    "stride and padding": (np.array(SOBEL), ["sobel-x", "--stride", "2"], (
        "The stride is (2, 2), and it should be (1, 1). The kernel is right, and the padding is not: 0, where the "
        "target has 1.")),
    "stride and kernel": (np.eye(3), ["sobel-x", "--stride", "2", "--padding", "1"], (
        "The stride is (2, 2), and it should be (1, 1). Besides, the kernel is wrong.")),
    "stride alone": (np.full((3, 3), "1/9"), ["box-3", "--padding", "1", "--stride", "2"], (
        "The stride is (2, 2), and it should be (1, 1).")),
    "padding mode": (NEAR, ["box-3", "--padding", "1", "--padding-mode", "replicate"], (
        "It is the right kernel times 99999999/100000000. Besides, the padding mode is replicate, where the target has "
        "zeros.")),
    "bias": (-2 * np.array(SOBEL), ["sobel-x", "--padding", "1", "--bias", "[5]"], (
        "It is the right kernel times -2. Besides, the bias is wrong.")),
    "bias of the right kernel": (np.array(SOBEL), ["sobel-x", "--padding", "1", "--bias", "[5]"], (
        "The kernel is right, and the bias is wrong.")),
    "bias and padding": (np.array(SOBEL), ["sobel-x", "--padding", "0", "--bias", "[5]"], (
        "The kernel is right, and the padding is not: 0, where the target has 1. Besides, the bias is wrong.")),
    "padding below": (np.array(SOBEL), ["sobel-x", "--padding", "1,2,1,1"], (
        "The kernel is right, and the padding is not: top 1, bottom 2, left 1, right 1, where the target has 1.")),
    "turned, and a bias": (np.array(SOBEL).T, ["sobel-x", "--padding", "1", "--bias", "[5]"], (
        "It is the right kernel transposed (rows and columns exchanged). Besides, the bias is wrong.")),
    "a bias of 0 is none": (2 * np.array(SOBEL), ["sobel-x", "--padding", "1", "--bias", "[0]"], (
        "It is the right kernel times 2.")),
}  # fmt: skip


@pytest.mark.parametrize("name", OFF)
def test_a_hint_leaves_nothing_out(name, capsys):
    weight, target, remark = OFF[name]
    assert grade_conv(weight.tolist(), "conv", "--target", *target) == 1
    sentence = capsys.readouterr().out.splitlines()[1]
    assert sentence.endswith(remark)
    assert ("rounding" in sentence) == (name == "a rounding")


def test_swapped_channels_are_told(capsys):
    taps = np.eye(4)[[1, 0, 2, 3]].reshape(4, 1, 2, 2).tolist()
    assert grade_conv(taps, "conv", "--target", "pixel-unshuffle-2", "--stride", "2", "--shape", "1,4,6") == 1
    assert "It is the right kernel with its output channels in another order." in capsys.readouterr().out


def test_a_turned_kernel_is_told(capsys):
    assert grade_conv(np.transpose(SOBEL).tolist(), "conv", "--target", "sobel-x", "--padding", "1") == 1
    assert "It is the right kernel transposed (rows and columns exchanged)." in capsys.readouterr().out
    assert grade_conv(np.fliplr(SOBEL).tolist(), "conv", "--target", "sobel-x", "--padding", "1") == 1
    assert "It is the right kernel" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("weight", "ends"),
    [
        ("[[1/9, 1/9, 1/9], [1/9, 1/9, 1/9], [1/9, 1/9, 1/9]]", "computes box-3"),
        ('[["1/9", "1/9", "1/9"], ["1/9", "1/9", "1/9"], ["1/9", "1/9", "1/9"]]', "computes box-3"),
        (np.full((3, 3), 1 / 9).tolist(), "computes box-3, every weight the nearest float64"),
        (np.full((3, 3), np.float32(1 / 9), float).tolist(), "computes box-3, every weight the nearest float32"),
        (np.full((3, 3), np.float16(1 / 9), float).tolist(), "computes box-3, every weight the nearest float16"),
    ],
    ids=["fractions", "text", "float64", "float32", "float16"],
)
def test_ninths_are_right_as_fractions_and_as_the_floats_next_to_them(weight, ends, folder, capsys):
    assert grade_conv(weight, "conv", "--target", "box-3", "--padding", "1", "--save", "c.json") == 0
    claim = f"on 1 x 7 x 8 images, the convolution handed in {ends}"
    assert capsys.readouterr().out.splitlines()[0] == f"RIGHT: {claim}"
    saved = Verdict.from_json((folder / "c.json").read_bytes())
    assert (saved.claim, verify(saved).status) == (claim, Status.PROVED)


def test_a_ninth_that_is_off_is_wrong(capsys):
    assert grade_conv(np.full((3, 3), 0.11111).tolist(), "conv", "--target", "box-3", "--padding", "1") == 1
    assert capsys.readouterr().out.startswith("WRONG: ")


def test_decimals_are_the_decimals_that_are_written(capsys):
    assert grade_conv("[[[[0.299]], [[0.587]], [[0.114]]]]", "conv", "--target", "grey") == 0
    assert capsys.readouterr().out.splitlines()[0].endswith("computes grey")


def test_a_target_of_ones_own(folder, capsys):
    (folder / "my_targets.py").write_text(
        "def right(x):\n    print('talking')\n    return x[..., :, 1:] - x[..., :, :-1]\n"
    )
    assert grade_conv([[-1, 1]], "conv", "--target", "my_targets:right", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["status"] == "proved"
    assert printed["claim"] == "on 1 x 7 x 8 images, the convolution handed in computes my_targets:right"
    assert grade_conv([[1, -1]], "conv", "--target", "my_targets:right") == 1
    assert "It is the right kernel times -1." in capsys.readouterr().out


COUNTS = {
    "parameters": (["60806", "--of", "lenet5"], 0, "RIGHT: LeNet-5 with Table I has 60,806 parameters"),
    "commas": (["61,706", "--of", "lenet5", "--c3", "full"], 0, "RIGHT: LeNet-5 with a full C3 has 61,706 parameters"),
    "multiply-adds": (
        ["326520", "--of", "lenet5", "--what", "multiply-adds"],
        0,
        "RIGHT: LeNet-5 with Table I has 326,520 multiply-adds",
    ),
    "1998": (
        ["340908", "--of", "lenet5-1998", "--what", "connections"],
        0,
        "RIGHT: the network of the 1998 paper has 340,908 connections",
    ),
    "the other": (
        ["61706", "--of", "lenet5"],
        1,
        (
            "The network holds 60,806 and the formula gives 60,806, where 61,706 was claimed. 61,706 is the number of "
            "parameters of LeNet-5 with a full C3."
        ),
    ),
    "a part": (
        ["1516", "--of", "lenet5"],
        1,
        "where 1,516 was claimed. 1,516 is the number of parameters of its part c3 alone.",
    ),
    "biases": (["60570", "--of", "lenet5"], 1, "where 60,570 was claimed. That leaves out the biases."),
    "wrong": (["60807", "--of", "lenet5"], 1, "where 60,807 was claimed.\n"),
    "0": (["0", "--of", "lenet5"], 1, "where 0 was claimed.\n"),
}


@pytest.mark.parametrize("case", COUNTS)
def test_counts(case, folder, capsys):
    argv, code, words = COUNTS[case]
    assert main(["grade", "count", *argv, "--save", "c.json"]) == code
    assert words in capsys.readouterr().out
    assert main(["verify", "c.json"]) == 0


DERIVATIVES = {
    "right": (["dyl/dyl-1", "diag(s[l]) @ A[l]"], 0),
    "the source's": (["dyL/dAl", "diag(s[l]) @ G[l].T @ y[l-1].T"], 0),
    "a minus": (["dyL/dyL-1", "-A[L]"], 1),
    "double": (["dyL/dyL-1", "--A[L]"], 0),
    "no slope": (["dyl/dyl-1", "A[l]"], 1),
    "more than one output": (["dyL/dbl", "G[l] @ diag(s[l])", "--widths", "2-2-2-2"], 0),
    "another shape": (["dyL/dbl", "diag(s[l])", "--widths", "2-3-1"], 1),
}


@pytest.mark.parametrize("case", DERIVATIVES)
def test_derivatives(case, capsys):
    argv, code = DERIVATIVES[case]
    assert main(["grade", "derivative", *argv]) == code
    out = capsys.readouterr().out
    assert out.startswith(f"{('RIGHT', 'WRONG')[code]}: {argv[0]} = {argv[1]}\n")


def test_a_derivative_as_json(capsys):
    assert main(["grade", "derivative", "dyL/dbL", "I", "--widths", "1-1-1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["claim"] == "dyL/dbL = I"


DO = "write nested lists, as in [[0, 1], [-1, 0]], or an NPY file."
LISTS = "nested lists of numbers, rows of equal length"
MISSING = "expected numbers in brackets, or a file, got"
NUMBERS = {
    "none": ("", f"{MISSING} ''; {DO}"),
    "blank": (" ", f"{MISSING} ' '; {DO}"),
    "alone": ("-1.5", f"{MISSING} '-1.5'; {DO}"),
    "a long number": (
        f"[[1{400 * '0'}]]",
        f"expected {LISTS}, got the number 10000000000000000000... of 401 characters, more than 60; {DO}",
    ),
    "longer": (
        f"[[1{5000 * '0'}]]",
        f"expected {LISTS}, got the number 10000000000000000000... of 5001 characters, more than 60; {DO}",
    ),
    "ragged": ("[[1, 2], [3]]", f"expected {LISTS}, got rows of different lengths; {DO}"),
    "mixed": ("[1, [2]]", f"expected {LISTS}, got rows of different lengths; {DO}"),
    "text": ('[["one"]]', f"expected {LISTS}, got 'one', which is no number; {DO}"),
    "a flag": ("[[true]]", f"expected {LISTS}, got True, which is no number; {DO}"),
    "nothing": ("[[null]]", f"expected {LISTS}, got None, which is no number; {DO}"),
    "not finite": ("[[NaN]]", f"expected {LISTS}, got the number NaN; {DO}"),
    "infinite": ("[[Infinity]]", f"expected {LISTS}, got the number Infinity; {DO}"),
    "by zero": ("[[1/0]]", f"expected {LISTS}, got 1/0, which is no number; {DO}"),
    "tower": ("[[1e999999999]]", f"expected {LISTS}, got the number 1e999999999; {DO}"),
    "code": ("[[__import__('os')]]", f"expected {LISTS}, got Expecting value: line 1 column 3 (char 2); {DO}"),
    "deep": ("[" * 100_000, f"expected {LISTS}, got lists too deep; {DO}"),
    "empty": ("[]", f"expected 1 to 100,000 numbers, got 0; {DO}"),
    "huge": ("[[" + "1," * 100_000 + "1]]", f"expected 1 to 100,000 numbers, got 100,001; {DO}"),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_what_is_typed_is_data(case, capsys):
    typed, words = NUMBERS[case]
    assert grade_conv(typed, *DIFFERENCES) == 2
    assert capsys.readouterr().err == f"mathdnn: grade conv --weight: {words}\n"


def npy(folder, array, **more):
    np.save(folder / "k.npy", array, **more)
    return (folder / "k.npy").read_bytes()


def header(shape, dtype="'<f8'"):
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


NO_SHAPE = "got a damaged header (its shape is none of up to 8 sizes)"


class Trap:
    def __reduce__(self):
        return (open, ("sprung", "w"))


FILES = {
    "objects": (
        lambda f: npy(f, np.array([[Trap()]], object), allow_pickle=True),
        "expected an NPY file of whole numbers or floats, got Python objects, which are pickles",
    ),
    "pickle": (lambda f: pickle.dumps(Trap()), "expected an NPY file or JSON, got neither"),
    "complex": (lambda f: npy(f, np.eye(2) * 1j), "expected an NPY file of whole numbers or floats, got complex128"),
    "text": (lambda f: npy(f, np.array([["a"]])), "expected an NPY file of whole numbers or floats, got <U1"),
    "flags": (lambda f: npy(f, np.eye(2) > 0), "expected an NPY file of whole numbers or floats, got bool"),
    "records": (lambda f: npy(f, np.zeros(2, "i4,f4")), "expected an NPY file of whole numbers or floats, got [("),
    "NaN": (lambda f: npy(f, np.array([[np.nan]])), "expected finite numbers, got infinities or NaN"),
    "cut": (
        lambda f: npy(f, np.eye(3))[:-1],
        "expected 1 to 100,000 numbers, all there, got shape (3, 3) and 71 bytes",
    ),
    "longer": (lambda f: npy(f, np.eye(3)) + b"0", "expected 1 to 100,000 numbers, all there, got shape (3, 3) and 73"),
    "claims more": (
        lambda f: header((10**9, 10**9)),
        "expected 1 to 100,000 numbers, all there, got shape (1000000000,",
    ),
    "negative": (lambda f: header((-1, -1)) + bytes(8), "expected 1 to 100,000 numbers, all there, got shape (-1, -1)"),
    "truths": (lambda f: header((True, True)) + bytes(8), f"expected an NPY file, {NO_SHAPE}"),
    "a size without an end": (lambda f: header("(0x" + "f" * 5000 + ",)"), f"expected an NPY file, {NO_SHAPE}"),
    "sizes without an end": (lambda f: header((1,) * 3000) + bytes(8), f"expected an NPY file, {NO_SHAPE}"),
    "no header": (lambda f: b"\x93NUMPY", "expected an NPY file, got a damaged header ("),
    "odd header": (lambda f: header("[open]"), "expected an NPY file, got a damaged header ("),
    "version": (lambda f: b"\x93NUMPY\x09\x00" + bytes(100), "expected an NPY file, got a damaged header ("),
    "empty": (lambda f: b"", f"expected {LISTS}, got Expecting value: line 1 column 1 (char 0)"),
    "words": (lambda f: b"kernel", f"expected {LISTS}, got Expecting value: line 1 column 1 (char 0)"),
    "a number": (lambda f: b'{"weight": [1]}', f"expected {LISTS}, got a JSON object, which is no number"),
    "large": (lambda f: b" " * 4_000_001, "expected a file of at most 4,000,000 bytes, got a larger one"),
}


@pytest.mark.parametrize("case", FILES)
def test_hostile_files_are_one_sentence_and_run_nothing(case, folder, capsys):
    content, words = FILES[case]
    (folder / "k.any").write_bytes(content(folder))
    assert grade_conv("k.any", *DIFFERENCES) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"mathdnn: grade conv --weight k.any: {words}")
    assert (err.endswith(f"{DO}\n"), err.count("\n")) == (True, 1)
    assert not (folder / "sprung").exists()


def test_a_file_that_cannot_be_read_is_one_sentence(capsys):
    assert grade_conv("/proc/self/mem", *DIFFERENCES) == 2
    assert capsys.readouterr().err == (
        "mathdnn: grade conv --weight /proc/self/mem: expected a readable file, got the answer 'Input/output error'; "
        "check the path and the disk.\n"
    )


def test_a_number_as_long_as_no_file_name_is_one_sentence(capsys):
    assert grade_conv("1" * 300, *DIFFERENCES) == 2
    assert capsys.readouterr().err == (
        f"mathdnn: grade conv --weight: expected numbers in brackets, or a file, got '{'1' * 40}'; {DO}\n"
    )


def test_the_largest_floats_are_graded_without_a_warning(folder, capsys):
    np.save(folder / "k.npy", np.full((3, 3), 1.7e308))  # warnings are errors here
    assert grade_conv("k.npy", "conv", "--target", "sobel-x", "--padding", "1") == 1
    assert capsys.readouterr().out.startswith("WRONG: ")


@pytest.mark.parametrize(
    ("bias", "got"),
    [("[[1]]", "lists in a list"), ("three.json", "a number without a list")],
)
def test_a_bias_is_one_list_of_numbers(bias, got, folder, capsys):
    (folder / "three.json").write_text("3")
    assert grade_conv([[1]], "conv", "--target", "identity", "--bias", bias) == 2
    assert capsys.readouterr().err == (
        "mathdnn: grade conv --bias: expected one number for each output channel, "
        f"got {got}; write them in one list, as in [0, 1/2].\n"
    )


def test_500_damaged_files_end_in_an_answer_or_a_sentence(folder, rng, capsys):
    whole = npy(folder, np.array(RIGHT_DIFFERENCES, np.int8))
    for _ in range(500):
        at = int(rng.integers(0, len(whole)))
        content = whole[:at] + bytes([whole[at] ^ int(rng.integers(1, 256))]) + whole[at + 1 :]
        (folder / "k.npy").write_bytes(content)
        code = grade_conv("k.npy", *DIFFERENCES)
        _out, err = capsys.readouterr()
        assert (code, err) == (0, "") or code == 1 or err.startswith("mathdnn: "), content


GEOMETRY = "mathdnn: grade conv --{0}: expected "
KERNEL = ["--weight", "[[1]]"]
SENTENCES = {
    "no target": (
        ["conv", *KERNEL],
        'Command "grade conv" parameter --target requires an argument. See mathdnn grade conv --help.',
    ),
    "stride": (
        ["conv", "--target", "identity", *KERNEL, "--stride", "a"],
        "grade conv --stride: expected whole numbers, as in 1 or 1,2, got 'a'; write them so.",
    ),
    "padding": (
        ["conv", "--target", "identity", *KERNEL, "--padding", "1,2,3"],
        "grade conv --padding: expected 1 or 2 or 4 numbers up to 256, got '1,2,3'; write them with commas.",
    ),
    "huge padding": (
        ["conv", "--target", "identity", *KERNEL, "--padding", "999999999"],
        "grade conv --padding: expected 1 or 2 or 4 numbers up to 256, got '999999999'; write them with commas.",
    ),
    "shape": (
        ["conv", "--target", "identity", *KERNEL, "--shape", "7,8"],
        "grade conv --shape: expected channels, height, width, got '7,8'; give three.",
    ),
    "no file": (
        ["conv", "--target", "identity", "--weight", "none.npy"],
        "grade conv --weight none.npy: expected a file, got none of that name; check the path.",
    ),
    "no target of that name": (
        ["conv", "--target", "nope", *KERNEL],
        f"grade conv --target: expected {' or '.join(CATALOGUE)}, got 'nope'; choose one of these.",
    ),
    "time limit": (
        ["conv", "--target", "identity", *KERNEL, "--time-limit", "0"],
        "grade conv --time-limit: expected seconds from above 0 to 86400, got 0; give a time limit.",
    ),
    "too small": (
        ["conv", "--target", "identity", "--weight", "[[1, 2], [3, 4]]", "--shape", "1,1,1"],
        "grade conv: expected an image for the kernel and padding to fit, got 1 x 1 x 1; ask about a larger image.",
    ),
    "save a folder": (
        ["conv", "--target", "identity", *KERNEL, "--save", "."],
        "grade conv --save .: expected a file in a folder that may be written, got a folder; name another file.",
    ),
    "rank": (
        ["conv", "--target", "identity", "--weight", "[1]"],
        "grade conv --weight: expected numbers of shape (out, in / groups, h, w), got shape (1,); reshape them.",
    ),
    "channels": (
        ["conv", "--target", "grey", *KERNEL],
        "grade conv --weight: expected weights for 3 input channels, got 1; check the shape.",
    ),
    "no number": (
        ["count", "many", "--of", "lenet5"],
        "grade count: expected a whole number, as in 60,806, got 'many'; write it so.",
    ),
    "odd commas": (
        ["count", "6,08,06", "--of", "lenet5"],
        "grade count: expected a whole number, as in 60,806, got '6,08,06'; write it so.",
    ),
    "1998 full": (
        ["count", "1", "--of", "lenet5-1998", "--c3", "full"],
        "grade count --of lenet5-1998 --c3: expected the table, which the paper's network always has, got full; leave --c3 out, or grade lenet5.",
    ),
    "no derivative": (
        ["derivative", "dx", "I"],
        "grade derivative: expected one of dyL/dbL, dyL/dyL-1, dyl/dbl, dyl/dyl-1, dyL/dAL, dyL/dAl, dyL/dbl, dyL/dx, got 'dx'; say which derivative it is.",
    ),
    "code": (
        ["derivative", "dyL/dbL", "__import__('os').system('touch sprung')"],
        "grade derivative: expected A[l], b[l], y[l], s[l], G[l], I, l, L, diag, outer, .T, @, *, +, - and whole numbers, got \"__import__('os').system('touch sprung')\" in \"__import__('os').system('touch sprung')\"; write it with these.",
    ),
    "widths": (
        ["derivative", "dyL/dbL", "I", "--widths", "2,3"],
        "grade derivative --widths: expected whole numbers, as in 2-3-2-1, got '2,3'; write them so.",
    ),
    "save": (
        ["derivative", "dyL/dbL", "I", "--save", "none/c.json"],
        "grade derivative --save none/c.json: expected a file in a folder that may be written, got no folder none; name another file.",
    ),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_misuse_is_one_sentence(case, folder, capsys):
    argv, words = SENTENCES[case]
    assert main(["grade", *argv]) == 2
    assert capsys.readouterr() == ("", f"mathdnn: {words}\n")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("formula", ["A", "G", "A[l] @ A[l] @ A[l]", "diag(diag)", "y[9]", "s[0]", "l[1]", "I.T.T.T"])
def test_odd_formulas_end_in_an_answer_or_a_sentence(formula, capsys):
    code = main(["grade", "derivative", "dyL/dyL-1", formula])
    out, err = capsys.readouterr()
    assert (code == 2 and err.startswith("mathdnn: ") and err.count("\n") == 1) or (code == 1 and "WRONG" in out)


def test_a_formula_that_explodes_is_stopped(monkeypatch, capsys):
    monkeypatch.setattr("mathdnn.cli.formulas.LONGEST", 0.3)
    monkeypatch.setattr("mathdnn.backprop.polynomials.LARGEST", 1 << 40)
    assert main(["grade", "derivative", "dyL/dbL", "*".join(["y[L]"] * 70)]) == 2
    assert capsys.readouterr().err.endswith("which takes longer than 0 s; write it with fewer products.\n")


def test_a_product_with_too_many_terms_is_refused(capsys):
    assert main(["grade", "derivative", "dyL/dbL", "*".join(["y[L]"] * 70)]) == 2
    words = r"mathdnn: Polynomial: expected products of at most 65,536 terms, got [0-9,]+ times 4; write the formula "
    assert re.match(words, capsys.readouterr().err)


ANSWERS = {
    "right": ("dyL/dAl", "diag(s[l]) @ G[l].T @ y[l-1].T", 0, "RIGHT: "),
    "on paper": (
        "dyL/dAl",
        "diag(σ'(A_l y_{l-1} + b_l)) (∂y_L/∂y_l)^T y_{l-1}^T",
        0,
        ", read as dyL/dAl = diag(s[l]) @ G",
    ),
    "entry by entry": (
        "dyL/dAl",
        "(sigma'(z_l) ⊙ (dy_L/dy_l)^T) y_{l-1}^T",
        0,
        ", read as dyL/dAl = s[l] * G[l].T @ y[l-1].T\n",
    ),
    "off by 2^64": (
        "dyL/dyL-1",
        "A[L] + outer(256*256*256*256, 256*256*256*256) * A[L]",
        1,
        ". It is 18446744073709551617 times the right answer\n",
    ),
    "two numbers": (
        "dyL/dbL",
        "I * (1 + 0*(1 @ (s[1] @ s[1])))",
        1,
        "s[1] @ s[1] is one number, which @ does not take\n",
    ),
    "a number": ("dyL/dbL", "1", 0, "RIGHT: dyL/dbL = 1\n"),
    "transposed": ("dyL/dAL", "y_{L-1}", 1, ". It is the transpose of the right answer\n"),
    "scaled": ("dyL/dAL", "2 y_{L-1}^T", 1, ". It is 2 times the right answer\n"),
    "minus": ("dyl/dbl", "-diag(s_l)", 1, ". It is minus the right answer\n"),
    "no slope": ("dyl/dyl-1", "A_l", 1, ". It leaves out sigma'\n"),
    "another layer": ("dyL/dAl", "diag(s[l]) @ G[l].T @ y[l].T", 1, "the formula is 3 x 3 for l = 1; the Jacobian is "),
    "no value": ("dyl/dyl-1", "A_l diag(s_l)", 1, "A[l] is 3 x 2 and diag(s[l]) is 3 x 3, which @ does not take\n"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_every_answer_for_a_derivative_is_verified_from_its_file(case, folder, capsys):
    of, formula, code, words = ANSWERS[case]
    assert main(["grade", "derivative", of, formula, "--save", "c.json"]) == code
    assert words in capsys.readouterr().out
    assert main(["verify", "c.json"]) == 0
    assert capsys.readouterr().out.startswith("HOLDS: ")


LINEAR = [[Fraction(a * b, 16) for b in (1, 3, 3, 1)] for a in (1, 3, 3, 1)]
UP = ("conv", "--transposed", "--stride", "2", "--target")
TRANSPOSED = {
    "nearest": ([[1, 1], [1, 1]], [*UP, "upsample-nearest-2"], ""),
    "linear": (LINEAR, [*UP, "upsample-bilinear-2", "--padding", "1", "--padding-mode", "replicate"], ""),
    "zeros between": ([[1]], [*UP, "zero-insertion-2", "--output-padding", "1"], ""),
    "two outputs": ([[[1]], [[2]]], [*UP, "ups:two", "--output-padding", "1"], ""),
    "plain": (
        [[1, 1], [1, 1]],
        ["conv", "--stride", "2", "--target", "upsample-nearest-2"],
        "The target is a transposed convolution, with stride (2, 2), padding 0 and padding mode zeros: hand the kernel in as one.",
    ),
    "plain target": (
        [[1, 0, -1]],
        ["conv", "--transposed", "--padding", "0,1", "--target", "central-difference-x"],
        "The target is no transposed convolution: hand the kernel in as a plain one.",
    ),
    "zeros outside": (
        LINEAR,
        [*UP, "upsample-bilinear-2", "--padding", "1"],
        "The kernel is right, and the padding mode is zeros, where the target has replicate.",
    ),
    "cut too short": (
        [[1]],
        [*UP, "zero-insertion-2"],
        "The kernel is right, and the output padding is wrong (the output is 13 x 15, and the target's is 14 x 16).",
    ),
    "moved": (
        [[0, 1], [0, 0]],
        [*UP, "zero-insertion-2"],
        "It is the right kernel shifted by (0, 1): each pixel is put down that far off.",
    ),
}


@pytest.mark.parametrize("name", TRANSPOSED)
def test_a_transposed_kernel_is_graded(name, folder, capsys):
    weight, argv, remark = TRANSPOSED[name]
    (folder / "ups.py").write_text(
        "import torch\n\n\ndef two(x):\n    up = torch.zeros_like(x).repeat(1, 2, 2, 2)\n"
        "    up[:, :1, ::2, ::2] = x\n    up[:, 1:, ::2, ::2] = 2 * x\n    return up\n"
    )
    typed = json.dumps(weight, default=str)
    assert grade_conv(typed, *argv, "--save", "t.json") == (1 if remark else 0)
    said = capsys.readouterr().out
    assert said.startswith("WRONG: " if remark else "RIGHT: on 1 x 7 x 8 images, the transposed convolution handed in")
    assert remark in said
    assert main(["verify", "t.json"]) == 0


def test_output_padding_is_of_transposed_kernels(folder, capsys):
    assert grade_conv([[1]], "conv", "--target", "identity", "--output-padding", "1") == 2
    assert capsys.readouterr().err == (
        "mathdnn: grade conv --output-padding: expected none for a convolution that is not transposed, got 1; "
        "add --transposed, or leave it out.\n"
    )


@pytest.mark.parametrize("command", ["conv", "count", "derivative"])
def test_help_fits_a_screen_and_has_examples(command, capsys):
    assert main(["grade", command, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"Examples:\n\nmathdnn grade {command} " in out
    assert max(map(len, out.splitlines())) <= 80
    assert out.count("\n") < 50
