"""Operations that misbehave, given to `prove conv` and `grade conv`: one sentence, exit code 2, nothing written."""

from __future__ import annotations

import os
import stat
import sys

import numpy as np
import pytest

from mathdnn.cli import main
from mathdnn.cli.memory import limited_memory
from mathdnn.cli.named import foreign, load
from mathdnn.data.files import replace_file
from mathdnn.errors import OutputError
from mathdnn.verdict import Status, Verdict

CODE = """
import time
import numpy as np
import torch

def raises(x): raise RuntimeError("no way")
def leaves(x): raise GeneratorExit("away")
def exits(x): raise SystemExit(3)
def deep(x): return deep(x)
def in_place(x): return x.mul_(2)
def in_place_and_back(x):
    y = x.mul_(2).clone()
    x.div_(2)
    return y
def at_random(x): return x + torch.rand_like(x)
def hidden_random(x): return x * float(np.random.rand())
def random_relu(x): return (x * float(np.random.rand())).relu()
def counter(x, calls=[]):
    calls.append(1)
    return x * len(calls)
def dropout(x): return torch.dropout(x, 0.5, True)
def halves(x): return x.half()
def whole(x): return x.int()
def complex(x): return x.to(torch.complex64)
def meta(x): return torch.empty(x.shape, device="meta")
def sparse(x): return x.to_sparse()
def pair(x): return x, x
def listed(x): return [x]
def nothing(x): return None
def number(x): return 3.0
def scalar(x): return x.sum()
def flat(x): return x.flatten()
def rank(x): return x[None, None]
def empty(x): return x[..., :0]
def nan(x): return x * float("nan")
def infinite(x): return x / 0
def huge(x): return torch.zeros(1 << 45)
def filling(x): return x + torch.ones(1 << 30)[: x.shape[-1]]
def out_of_memory(x): raise MemoryError
def endless(x):
    while True:
        pass
def asleep(x): time.sleep(30)
def endless_below_0(x):
    below = float(x.min()) < 0
    while below:
        pass
    return x.relu()
three = 3

def mine(x):
    x[:] = 0
    return x
def array(x): return x.sum()
def moody(x): return x * np.random.rand()
"""

ALIKE = "the same output at every call"
RUNS = "an operation that runs on a torch.float32 image of shape (1, 1, 7, 8)"
LOOK = "check the operation and the shape"
IMAGES = "an image for an image, and a batch for a batch of the same length"
DENSE = "return one dense tensor, or with opaque one NumPy array"
COPY = "an operation that leaves its input alone, got one that writes into it; let it work on a copy"
FIXED = f"{ALIKE}, got two outputs for one image; make the operation deterministic"
MEMORY = f"{RUNS}, got one that needs more memory than there is; {LOOK}"
SLOW = "an operation that ends within 0.2 seconds, got one that had not; allow it more, or give a smaller image"
BACK = "return (C, H, W) or (N, C, H, W)"
SAME = "the image's own dtype torch.float32 back, got"
FINITE = "finite numbers for finite pixels, got NaN or infinity; keep the operation finite"
OPERATIONS = {
    "raises": f"{RUNS}, got RuntimeError: no way; {LOOK}",
    "leaves": f"{RUNS}, got RuntimeError: GeneratorExit away; {LOOK}",
    "exits": f"{RUNS}, got RuntimeError: SystemExit 3; {LOOK}",
    "deep": f"{RUNS}, got RecursionError: maximum recursion depth exceeded; {LOOK}",
    "in_place": COPY,
    "in_place_and_back": COPY,
    "at_random": f"{ALIKE}, got random numbers from aten.rand_like.default; fix them, or call .eval()",
    "hidden_random": FIXED,
    "random_relu": FIXED,
    "counter": FIXED,
    "dropout": f"{ALIKE}, got random numbers from aten.bernoulli.p; fix them, or call .eval()",
    "halves": f"{SAME} torch.float16; convert the result, or ask in that dtype",
    "whole": f"{SAME} torch.int32; convert the result, or ask in that dtype",
    "complex": f"{SAME} torch.complex64; convert the result, or ask in that dtype",
    "meta": "a result on the cpu, got one on meta; move the operation to the cpu",
    "sparse": f"a tensor back, got a Tensor of layout torch.sparse_coo; {DENSE}",
    "pair": f"a tensor back, got a tuple; {DENSE}",
    "listed": f"a tensor back, got a list; {DENSE}",
    "nothing": f"a tensor back, got None; {DENSE}",
    "number": f"a tensor back, got a float; {DENSE}",
    "scalar": f"{IMAGES}, got shape () for 1x1x7x8; {BACK}",
    "flat": f"{IMAGES}, got shape (56,) for 1x1x7x8; {BACK}",
    "rank": f"{IMAGES}, got shape (1, 1, 1, 1, 7, 8) for 1x1x7x8; {BACK}",
    "empty": f"{IMAGES}, got shape (1, 1, 7, 0) for 1x1x7x8; {BACK}",
    "nan": FINITE,
    "infinite": FINITE,
    "huge": MEMORY,
    "filling": MEMORY,
    "out_of_memory": MEMORY,
    "endless": SLOW,
    "asleep": SLOW,
    "endless_below_0": SLOW,
    "three": "a callable or an nn.Module, got a int; give the operation itself",
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current directory, with the operations in it and 1 GiB of memory left."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mathdnn.cli.memory._left", lambda: 1 << 30)
    (tmp_path / "odd.py").write_text(CODE)
    yield tmp_path
    sys.modules.pop("odd", None)


def said(argv, folder, capsys):
    before = sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")
    assert main([*argv, "--time-limit", "0.2", "--save", "saved.json"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == before
    return err


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_that_misbehaves_is_one_sentence_to_prove_conv(name, folder, capsys):
    err = said(["prove", "conv", f"odd:{name}", "--shape", "1,7,8"], folder, capsys)
    assert err == f"mathdnn: prove conv: expected {OPERATIONS[name]}.\n"


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_target_that_misbehaves_is_one_sentence_to_grade_conv(name, folder, capsys):
    err = said(["grade", "conv", "--target", f"odd:{name}", "--weight", "[[1]]"], folder, capsys)
    assert err == f"mathdnn: grade conv: expected {OPERATIONS[name]}.\n"


@pytest.mark.parametrize(
    ("name", "words"),
    [("mine", COPY), ("array", f"a tensor back, got a float64; {DENSE}"), ("moody", FIXED)],
)
def test_a_function_of_arrays_that_misbehaves_is_one_sentence(name, words, folder, capsys):
    err = said(["prove", "conv", f"odd:{name}", "--shape", "7,8", "--opaque"], folder, capsys)
    assert err == f"mathdnn: prove conv: expected {words}.\n"


def test_more_memory_than_there_is_is_refused_and_the_limit_is_lifted_again():
    with limited_memory(), pytest.raises(MemoryError, match="Unable to allocate"):
        np.zeros(1 << 28)
    assert np.zeros(1 << 28).nbytes == 1 << 31


ASIDE = """
import os
import subprocess
import sys

def loud(x):
    print("python")
    os.write(1, b"compiled\\n")
    subprocess.run([sys.executable, "-c", "print('process')"], check=True)
    return x
"""


@pytest.mark.parametrize(
    "ask", [["conv", "loud:loud", "--shape", "2,2"], ["monotone", "loud:loud", "--dtype", "float16"]]
)
def test_what_an_operation_prints_is_no_part_of_the_answer(ask, folder, capfd):
    (folder / "loud.py").write_text(ASIDE)
    try:
        assert main(["prove", *ask, "--json"]) == 0
    finally:
        sys.modules.pop("loud", None)
    out, err = capfd.readouterr()
    assert Verdict.from_json(out).status is Status.PROVED
    assert all(word in err for word in ("python", "compiled", "process"))
    print("again on standard output", flush=True)
    os.write(1, b"and past Python")
    assert capfd.readouterr().out == "again on standard output\nand past Python"


def test_a_pipe_is_no_place_for_a_verdict(folder, capsys):
    os.mkfifo(folder / "pipe")
    assert main(["prove", "conv", "odd:whole", "--shape", "1,7,8", "--save", "pipe"]) == 2
    assert capsys.readouterr().err == (
        "mathdnn: prove conv --save pipe: expected a file in a folder that may be written, got something that is not a "
        "regular file (a pipe, a device); name another file.\n"
    )
    assert stat.S_ISFIFO(os.stat(folder / "pipe").st_mode)


def test_a_pipe_is_never_replaced_by_a_file(folder):
    os.mkfifo(folder / "pipe")
    with pytest.raises(
        OutputError, match=r"got something that is not a regular file \(a pipe, a device\); name another"
    ):
        replace_file(folder / "pipe", b"content")
    assert stat.S_ISFIFO((folder / "pipe").stat().st_mode)


MODULES = {
    "attribute": "def __getattr__(name):\n    raise RuntimeError(f'no {name}.')",
    "gone": "class Gone(BaseException):\n    pass\n\nraise Gone('away')",
    "generator": "raise GeneratorExit",
    "mute": "class Mute(Exception):\n    def __str__(self):\n        raise RuntimeError('mute')\n\nraise Mute",
    "numbered": "raise ModuleNotFoundError(name=3)",
    "classless": "class C:\n    @property\n    def __class__(self):\n        raise RuntimeError('no class')\n\nx = C()",
}
CODE_RUNS, IMPORTS = "code that runs without an error", "a module that imports without an error"
SAID = {
    "attribute": f"{CODE_RUNS}, got RuntimeError: no x (attribute.py, line 2); mend the code",
    "gone": f"{IMPORTS}, got gone, which raises Gone: away; mend the module",
    "generator": f"{IMPORTS}, got generator, which raises GeneratorExit; mend the module",
    "mute": f"{IMPORTS}, got mute, which raises Mute; mend the module",
    "numbered": f"{IMPORTS}, got numbered, which raises ModuleNotFoundError; mend the module",
    "classless": f"{CODE_RUNS}, got RuntimeError: no class (classless.py, line 4); mend the code",
}


@pytest.mark.parametrize(
    "ask",
    [["prove", "conv", "--shape", "1,7,8"], ["prove", "monotone"], ["grade", "conv", "--weight", "[[1]]", "--target"]],
    ids=lambda ask: " ".join(ask[:2]),
)
@pytest.mark.parametrize("name", MODULES)
def test_a_module_that_misbehaves_is_one_sentence(name, ask, folder, capsys):
    (folder / f"{name}.py").write_text(MODULES[name])
    try:
        err = said([*ask, f"{name}:x"], folder, capsys)
    finally:
        sys.modules.pop(name, None)
    who = " ".join(ask[:2]) + (" --target" if ask[0] == "grade" else "")
    assert err == f"mathdnn: {who} {name}:x: expected {SAID[name]}.\n"


def test_an_error_that_mathdnn_itself_raises_is_no_fault_of_the_users_code():
    with pytest.raises(AttributeError, match="has no attribute 'partition'"), foreign("here"):
        load(3, "here")


LONG = "a" * 300
TOO_LONG = "got the answer 'File name too long'"
SAVING = {
    "prove conv": ["prove", "conv", "odd:whole", "--shape", "1,7,8", "--save"],
    "prove monotone": ["prove", "monotone", "torch.tanh", "--dtype", "float16", "--save"],
    "prove gradient": ["prove", "gradient", "2-2-1", "--save"],
    "prove gradient picture": ["prove", "gradient", "2-2-1", "--picture"],
    "grade conv": ["grade", "conv", "--target", "identity", "--weight", "[[1]]", "--save"],
    "grade count": ["grade", "count", "1", "--of", "lenet5", "--save"],
    "grade derivative": ["grade", "derivative", "dyL/dbL", "I", "--save"],
    "bench": ["bench", "sgd", "--quick", "--out"],
}


@pytest.mark.parametrize("long", [LONG, "a" * 240], ids=["too long", "too long for the file beside it"])
@pytest.mark.parametrize("command", SAVING)
def test_a_name_too_long_to_save_under_is_one_sentence_before_any_work(command, long, folder, capsys):
    argv = SAVING[command]
    assert main([*argv, long]) == 2
    who = f"{' '.join(argv[: 1 if argv[0] == 'bench' else 2])} {argv[-1]}"
    assert capsys.readouterr() == (
        "",
        f"mathdnn: {who} {long}: expected a file in a folder that may be written, {TOO_LONG}; name another file.\n",
    )


UNUSABLE = {
    "cache": (
        ["prove", "monotone", "torch.tanh", "--cache", LONG],
        f"prove monotone --cache {LONG}: expected a folder, or a place for one, {TOO_LONG}; name another folder.",
    ),
    "pages": (
        ["reproduce", "1", "--out", LONG],
        (
            f"reproduce --out {LONG}: expected a folder that may be written, {TOO_LONG}; choose a "
            "folder that may be written."
        ),
    ),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_folder_with_a_name_too_long_is_one_sentence(case, capsys):
    argv, words = UNUSABLE[case]
    assert main(argv) == 2
    assert capsys.readouterr() == ("", f"mathdnn: {words}\n")


@pytest.mark.parametrize(
    "argv",
    [["report", "/proc/self/mem"], ["train", "lenet5", "--plan", "--data", LONG]],
    ids=["no reading", "no such name"],
)
def test_what_the_system_cannot_read_or_name_keeps_no_traceback(argv, capsys):
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert (out, err.startswith("mathdnn: "), err.count("\n")) == ("", True, 1)


PARTS = {
    "grade": ["grade", "conv", "--target", "identity", "--weight", "[[1]]", "--groups", "1.5"],
    "train": ["train", "lenet5", "--plan", "--epochs", "1.5"],
    "prove": ["prove", "monotone", "torch.tanh", "--threads", "1.5"],
    "bench": ["bench", "sgd", "--quick", "--rounds", "1.5"],
    "reproduce": ["reproduce", "1", "--seeds", "2.5"],
    "reproduce a part": ["reproduce", "1.5"],
}


@pytest.mark.parametrize("case", PARTS)
def test_a_part_is_no_whole_number(case, folder, capsys):
    argv = PARTS[case]
    assert main(argv) == 2
    name = argv[-2] if argv[-2].startswith("--") else "PROBLEM"
    command = " ".join(argv[: 2 if argv[0] in ("prove", "grade") else 1])
    assert capsys.readouterr() == (
        "",
        f'mathdnn: Invalid value for {name}: unable to convert "{argv[-1]}" into int. See mathdnn {command} --help.\n',
    )
