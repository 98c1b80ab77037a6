"""Code that looks at constants is followed; code that looks at pixels never gets a proof, however it looks."""

from __future__ import annotations

import contextlib
import io
import pickle
import struct
import threading
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch._subclasses import FakeTensor
from torch._tensor_str import _str, _str_intern
from torch.utils.dlpack import from_dlpack, to_dlpack

from mathdnn.convolution import as_conv2d
from mathdnn.errors import InvalidInput
from mathdnn.verdict import Status
from mathdnn.verify import verify

SHAPE = (1, 7, 8)
HUGE = 1e30  # no image that anybody tries comes near it


def _normalised(x):
    kernel = torch.tensor([[1.0, 2.0, 1.0]])
    if kernel.sum().item() > 1:
        kernel = kernel / kernel.sum()
    return F.conv2d(x, kernel[None, None])


def _until_small(x):
    kernel = torch.ones(3)
    while bool(kernel.max() > 0.1):
        kernel /= 2
    return F.conv2d(x, kernel[None, None, None])


def _through_numpy(x):
    kernel = torch.ones(1, 1, 3, 3)
    kernel.numpy()[0, 0, 1, 1] = 5.0
    return F.conv2d(x, kernel) if kernel.tolist()[0][0][1][1] == 5 else -x


def _changed_after_use(x):
    kernel = torch.ones(1, 1, 1, 3)
    first = F.conv2d(x, kernel)
    kernel.numpy()[...] = 7.0
    return first if torch.equal(kernel, torch.full_like(kernel, 7.0)) else -x


FOLLOWED = [_normalised, _until_small, _through_numpy, _changed_after_use]


@pytest.mark.parametrize("op", FOLLOWED)
def test_a_branch_on_a_constant_is_followed(op):
    verdict = as_conv2d(op, SHAPE)
    assert verdict.status is Status.PROVED, str(verdict)
    assert verify(verdict).status is Status.PROVED
    layer = verdict.evidence.form.to_module()
    image = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(layer(image), op(image))


def test_what_a_branch_on_a_constant_chooses_holds_for_every_size():
    assert "for every height of at least 2 and every width of at least" in str(as_conv2d(_normalised, SHAPE))


def _swallowed(x):
    try:
        large = bool(x.max() > HUGE)
    except Exception:
        large = False
    return 2 * x if large else x


def _swallowed_numpy(x):
    try:
        large = x.numpy().max() > HUGE
    except Exception:
        large = False
    return 2 * x if large else x


def _by_a_buffer(x):
    buffer = torch.zeros(1)
    buffer += x.max()
    return x if buffer.numpy()[0] < HUGE else 2 * x


def _by_a_part_of_a_buffer(x):
    buffer = torch.zeros(3)
    buffer[1:2].copy_(x.flatten()[:1])
    return x if buffer[1].item() < HUGE else 2 * x


def _by_out(x):
    buffer = torch.zeros(())
    torch.sum(x, dim=(0, 1, 2, 3), out=buffer)
    return x if buffer.item() < HUGE else 2 * x


def _by_a_swallowed_buffer(x):
    buffer = torch.zeros(1)
    with contextlib.suppress(Exception):
        buffer.copy_(x.max())
    return x if buffer.item() < HUGE else 2 * x


def _by_a_thread(x):
    buffer = torch.zeros(1)

    def work():
        with contextlib.suppress(Exception):
            buffer.copy_(x.max())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return x if buffer.item() < HUGE else 2 * x


def _by_running_means(x):
    mean, var = torch.zeros(1), torch.ones(1)
    F.batch_norm(x, mean, var, training=True)
    return x if mean.item() < HUGE else 2 * x


def _by_data(x):
    buffer = torch.zeros(())
    buffer.data = x.max()
    return x if buffer.item() < HUGE else 2 * x


def _in_a_thread(looks):
    def op(x):
        large = [False]

        def work():
            with contextlib.suppress(Exception):
                large[0] = looks(x)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return 2 * x if large[0] else x

    return op


def _by_memory(x):
    try:
        large = np.from_dlpack(x).max() > HUGE
    except Exception:
        large = False
    return 2 * x if large else x


def _by_unwritten_memory(x):
    return x if torch.empty(3)[0] < HUGE else 2 * x


class _Counting(torch.nn.Module):
    """The identity, for the first hundred calls."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        return x if self.calls.item() < 100 else 2 * x


class _CountingInAPart(_Counting):
    def forward(self, x):
        self.calls[:1].add_(1)
        return x if self.calls.item() < 100 else 2 * x


def _pickled(x):
    try:
        text = pickle.dumps(x)
    except Exception:
        text = b""
    return 2 * x if struct.pack("<f", HUGE) in text else x


def _saved(x):
    file = io.BytesIO()
    with contextlib.suppress(Exception):
        torch.save(x, file)
    return 2 * x if struct.pack("<f", HUGE) in file.getvalue() else x


def _numpy_behind_the_modes(x):
    large = False
    with torch._C.DisableTorchFunction(), contextlib.suppress(Exception):
        large = bool(x.numpy().max() > HUGE)
    return 2 * x if large else x


def _behind_the_modes(looks):
    def op(x):
        large = False
        with torch._C.DisableTorchFunction(), contextlib.suppress(Exception):
            large = looks(x)
        return 2 * x if large else x

    return op


def _in_pickle(x):
    file = io.BytesIO()
    torch.save(x, file)
    return struct.pack("<f", HUGE) in file.getvalue()


def _one_by_one(x):
    return x.clone().apply_(lambda pixel: 2 * pixel if pixel > HUGE else pixel)


def _in_script(code):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(code)


def _by_a_list(x: torch.Tensor) -> torch.Tensor:
    pixels: list[float] = x.flatten().tolist()
    return 2 * x if max(pixels) > 1e30 else 1 * x


_scripted = _in_script(_by_a_list)


_TOLD = torch.library.Library("mathdnn_told", "DEF")
for _signature, _real, _fake in (
    ("saturated(Tensor x) -> bool", lambda x: bool((x > HUGE).any()), lambda x: False),
    ("largest(Tensor x) -> float", lambda x: float(x.max()), lambda x: 0.0),
    ("both(Tensor x) -> int[]", lambda x: [int(x.min()), int(x.max())], lambda x: [0, 0]),
    ("large(Tensor x) -> Tensor", lambda x: torch.ones(2 if x.max() > HUGE else 1), lambda x: x.new_empty(1)),
):
    _TOLD.define(_signature)
    _TOLD.impl(_signature.split("(")[0], _real, "CPU")
    _TOLD.impl(_signature.split("(")[0], _fake, "Meta")


def _told(x):
    return torch.ops.mathdnn_told.saturated(x)


LOOKING = {
    "scripted": _scripted,
    "scripted within": lambda x: _scripted(x + 1),
    "capsule": lambda x: from_dlpack(to_dlpack(1 * x)),
    "text": lambda x: 2 * x if "e+30" in str(x.max()) else x,
    "text of one": lambda x: 2 * x if "e+30" in f"{x.max()}" else x,
    "text by torch's own": lambda x: 2 * x if "e+30" in _str(x) else x,
    "text behind the modes": _behind_the_modes(lambda x: "e+30" in repr(x)),
    "format behind the modes": _behind_the_modes(lambda x: "e+30" in f"{x.max()}"),
    "pickled behind the modes": _behind_the_modes(lambda x: struct.pack("<f", HUGE) in pickle.dumps(x)),
    "saved behind the modes": _behind_the_modes(_in_pickle),
    "reduced behind the modes": _behind_the_modes(lambda x: "e+30" in str(x.__reduce_ex__(2))),
    "storage behind the modes": _behind_the_modes(lambda x: len(x.untyped_storage()) == 3),
    "capsule behind the modes": _behind_the_modes(lambda x: np.from_dlpack(x).max() > HUGE),
    "address behind the modes": _behind_the_modes(lambda x: x.data_ptr() % 3 == 5),
    "told a condition": lambda x: 2 * x if _told(x) else x,
    "told a number": lambda x: x * (1 + (torch.ops.mathdnn_told.largest(x) > HUGE)),
    "told numbers": lambda x: x * (1 + (torch.ops.mathdnn_told.both(x)[1] > HUGE)),
    "told a shape": lambda x: x * torch.ops.mathdnn_told.large(x).shape[0],
    "pickled": _pickled,
    "saved": _saved,
    "numpy in a thread": _in_a_thread(lambda x: x.numpy().max() > HUGE),
    "numpy behind the modes": _numpy_behind_the_modes,
    "one by one": _one_by_one,
    "if": lambda x: 2 * x if x.max() > HUGE else x,
    "item": lambda x: 2 * x if x[..., 0, 0].item() > HUGE else x,
    "any": lambda x: 2 * x if (x > HUGE).any() else x,
    "equal": lambda x: 2 * x if torch.equal(x, torch.full_like(x, HUGE)) else x,
    "allclose": lambda x: 2 * x if torch.allclose(x, torch.full(x.shape, HUGE)) else x,
    "numpy": lambda x: 2 * x if x.numpy().max() > HUGE else x,
    "asarray": lambda x: 2 * x if np.asarray(x).max() > HUGE else x,
    "tolist": lambda x: 2 * x if HUGE in x.flatten().tolist() else x,
    "float": lambda x: 2 * x if float(x.sum()) > HUGE else x,
    "int": lambda x: x * (1 + int(x.sum() > HUGE)),
    "index": lambda x: x * [1, 2][(x.sum() > HUGE).long()],
    "nonzero": lambda x: 2 * x if len((x > HUGE).nonzero()) else x,
    "mask": lambda x: 2 * x if x[x > HUGE].numel() else x,
    "in": lambda x: 2 * x if HUGE in x else x,
    "format": lambda x: 2 * x if f"{x.max():.3e}" == "1.000e+30" else x,
    "dlpack": lambda x: 2 * x if np.from_dlpack(x).max() > HUGE else x,
    "tensor of it": lambda x: 2 * x if torch.tensor([x.max()]).item() > HUGE else x,
    "constant of it": lambda x: 2 * x if (torch.ones(3) * x.max()).max().item() > HUGE else x,
    "swallowed": _swallowed,
    "swallowed numpy": _swallowed_numpy,
    "buffer": _by_a_buffer,
    "part of a buffer": _by_a_part_of_a_buffer,
    "out": _by_out,
    "swallowed buffer": _by_a_swallowed_buffer,
    "thread": _by_a_thread,
    "running means": _by_running_means,
    "data": _by_data,
    "in a thread": _in_a_thread(lambda x: x.max().item() > HUGE),
    "memory": _by_memory,
    "storage": lambda x: 2 * x if x.untyped_storage().data_ptr() % 3 == 5 else x,
    "unwritten memory": _by_unwritten_memory,
    "counting": _Counting(),
    "counting in a part": _CountingInAPart(),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", LOOKING)
def test_a_branch_on_pixels_is_never_proved(name):
    try:
        found = str(as_conv2d(LOOKING[name], SHAPE).status)
    except InvalidInput as error:  # what nobody has written may be another number at the next call
        found = str(error)
    allowed = "two outputs for one image" if name == "unwritten memory" else "refuted"
    assert found in ("refuted", "undecided") or allowed in found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", LOOKING)
def test_a_branch_on_pixels_of_larger_images_ends_the_statement_about_sizes(name):
    verdict = as_conv2d(lambda x: x if x.shape[-1] < 50 else LOOKING[name](x), SHAPE)
    assert verdict.status is Status.PROVED, str(verdict)
    assert verdict.evidence.data.get("sizes") is None, verdict.claim


def _text_hidden(x):
    try:
        width = str(x.shape[-1])
    except Exception:
        width = ""
    return 2 * x if width == "37" else x


def _hash_hidden(x):
    try:
        factor = {37: 2}.get(x.shape[-1], 1)
    except TypeError:
        factor = 1
    return factor * x


@pytest.mark.parametrize("op", [_text_hidden, _hash_hidden])
def test_a_size_asked_for_in_other_ways_ends_the_statement_about_sizes(op):
    verdict = as_conv2d(op, SHAPE)
    assert verdict.status is Status.PROVED, str(verdict)
    assert verdict.evidence.data.get("sizes") is None, verdict.claim
    assert "of the image's size" in verdict.evidence.method


def test_an_operation_that_is_called_as_one_of_torchs_is_not_taken_for_it():
    library = torch.library.Library("mathdnn_tests", "DEF")
    library.define("ones_like(Tensor x) -> Tensor")
    library.impl("ones_like", lambda x: x.abs().amax().clamp(min=1) * torch.ones_like(x), "CPU")
    library.impl("ones_like", torch.empty_like, "Meta")
    verdict = as_conv2d(lambda x: x + torch.ops.mathdnn_tests.ones_like(x), SHAPE)
    assert verdict.status is not Status.PROVED
    assert "mathdnn_tests.ones_like" in str(verify(verdict)) or verdict.status is Status.UNDECIDED


def test_an_operator_of_which_nothing_is_known_is_named():
    library = torch.library.Library("mathdnn_named", "DEF")
    library.define("twice(Tensor x) -> Tensor")
    library.impl("twice", lambda x: 2 * x, "CPU")
    library.impl("twice", torch.empty_like, "Meta")
    verdict = as_conv2d(lambda x: torch.ops.mathdnn_named.twice(x), SHAPE)
    assert "mathdnn_named.twice.default is not shown to be affine: no rule says that it is" in str(verdict)
    verdict = as_conv2d(lambda x: x * torch.ops.mathdnn_named.twice(torch.ones(())), SHAPE)
    assert verdict.status is Status.PROVED, str(verdict)
    assert verdict.evidence.form.weight.item() == 2


REARRANGED = {
    "repeated": (lambda x: x.repeat_interleave(2, -2), SHAPE),
    "channels shuffled": (lambda x: x.view(1, 2, 2, 7, 8).transpose(1, 2).contiguous().view(1, 4, 7, 8), (4, 7, 8)),
    "shuffled without a copy": (lambda x: x.view(1, 2, 2, 7, 8).transpose(1, 2).reshape(1, 4, 7, 8), (4, 7, 8)),
    "a layer at each pixel": (
        lambda x: F.linear(x.permute(0, 2, 3, 1), torch.tensor([[1.0, 2, 3], [4, 5, 6]])).permute(0, 3, 1, 2),
        (3, 7, 8),
    ),
    "a layer at each pixel, one channel": (
        lambda x: F.linear(x.permute(0, 2, 3, 1), torch.tensor([[1.0], [4.0]])).permute(0, 3, 1, 2),
        SHAPE,
    ),
    "einsum": (lambda x: torch.einsum("oc,nchw->nohw", torch.tensor([[1.0, 2, 3], [4, 5, 6]]), x), (3, 7, 8)),
}


@pytest.mark.parametrize("name", REARRANGED)
def test_pixels_in_another_order_in_memory_are_the_same_pixels(name):
    op, shape = REARRANGED[name]
    verdict = as_conv2d(op, shape)
    assert verdict.status is Status.PROVED, str(verdict)
    image = torch.rand(1, *shape)
    assert torch.allclose(op(image), verdict.evidence.form.to_module()(image), rtol=0, atol=1e-5)
    assert verify(verdict).status is Status.PROVED, str(verify(verdict))


def test_a_result_of_which_nothing_is_known_is_undecided():
    assert as_conv2d(lambda x: x + F.max_pool2d(x, 1, return_indices=True)[1], SHAPE).status is Status.UNDECIDED


def test_an_image_that_takes_of_the_one_before_is_shown_and_verified():
    verdict = as_conv2d(lambda x: x.cumsum(0), (2, 1, 4, 4))
    said = "The output of image 1 depends on pixel (0, 0, 0, 0) of another image of the batch."
    assert verdict.evidence.statement == said
    assert verify(verdict).status is Status.PROVED, str(verify(verdict))


def test_no_random_numbers_are_drawn():
    before = torch.get_rng_state()
    as_conv2d(lambda x: 2 * x, SHAPE).evidence.form.to_module()
    as_conv2d(lambda x: F.interpolate(x, scale_factor=2), SHAPE).evidence.form.to_module()
    assert torch.equal(before, torch.get_rng_state())


def test_autocast_around_the_question_is_refused():
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(InvalidInput, match=r"a call outside of torch\.autocast"):
        as_conv2d(torch.nn.Conv2d(1, 1, 3), SHAPE)


def test_what_is_replaced_while_code_is_read_is_put_back():
    before = (torch._C._from_dlpack, torch._C.ScriptFunction.__call__, torch._C.ScriptMethod.__call__)
    texts = (torch._tensor_str._str, torch._tensor_str._str_intern)
    assert as_conv2d(_in_script(torch.nn.Conv2d(1, 1, 3)), SHAPE).status is Status.PROVED
    assert before == (torch._C._from_dlpack, torch._C.ScriptFunction.__call__, torch._C.ScriptMethod.__call__)
    assert texts == (_str, _str_intern) == (torch._tensor_str._str, torch._tensor_str._str_intern)
    assert not {"numpy", "untyped_storage", "__reduce_ex__"} & set(vars(FakeTensor))
    assert torch.equal(from_dlpack(to_dlpack(torch.ones(3))), torch.ones(3))
    assert torch.equal(_scripted(torch.ones(3)), torch.ones(3))


def _traced_by_torch(layer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.trace(layer, torch.zeros(1, 1, 9, 10))


def _slope_of_pool(pool, *sizes):
    return lambda x: torch.func.vjp(pool, torch.zeros(1, 1, *sizes))[1](x)[0]


def _put(x):
    return torch.zeros(90).put(torch.arange(90).roll(3), x).reshape(1, 1, 9, 10)[..., 1:, 3:]


_ROWS, _COLUMNS = torch.arange(9).roll(1), torch.arange(10).roll(-2)
_THREE = torch.tensor([[1.0, -2.0, 3.0], [4.0, 0.5, -6.0], [7.0, 8.0, -9.0]])[None, None]


OTHERWISE_WRITTEN = {
    "traced by torch": _traced_by_torch(torch.nn.Conv2d(1, 1, 3, padding=1)),
    "compiled": torch.compile(torch.nn.Conv2d(1, 1, 3, padding=1), backend="eager"),
    "compiled within": torch.compile(lambda x: F.conv2d(x, _THREE), backend="eager"),
    "slope of a layer": lambda x: torch.nn.grad.conv2d_input((1, 1, 11, 12), _THREE, x),
    "slope of a transposed layer": lambda x: torch.func.vjp(
        lambda z: F.conv_transpose2d(z, _THREE), torch.zeros(1, 1, 7, 8)
    )[1](x)[0],
    "slope of a square": lambda x: torch.func.grad(lambda z: (z**2).sum())(x),
    "first power": lambda x: F.conv2d(x**1.0, _THREE),
    "fold": lambda x: F.fold(F.unfold(x, 3, padding=1).flip(1), (9, 10), 3, padding=1),
    "fold of windows apart": lambda x: F.fold(
        F.unfold(x, (3, 2), dilation=(2, 1), padding=(0, 1), stride=(5, 3)),
        (9, 10),
        (3, 2),
        dilation=(2, 1),
        padding=(0, 1),
        stride=(5, 3),
    )[..., ::5, :1],
    "index_add": lambda x: (x * 1).index_add(-1, torch.arange(1, 10), x[..., :-1], alpha=-2),
    "index_copy": lambda x: torch.zeros(1, 1, 9, 10).index_copy(-1, _COLUMNS, x),
    "scatter": lambda x: torch.zeros(1, 1, 9, 11).scatter(-1, _COLUMNS.expand(1, 1, 9, 10), x)[..., :10],
    "scatter of a part": lambda x: torch.ones(1, 1, 9, 10).scatter(
        -2, torch.arange(8).view(1, 1, 8, 1).expand(1, 1, 8, 10), x
    )[..., :8, :],
    "take": lambda x: torch.take(x, torch.arange(90).view(1, 1, 9, 10)[..., _ROWS, :]),
    "put": _put,
    "degrees": lambda x: torch.rad2deg(x) + torch.deg2rad(x),
    "times a power of two": lambda x: torch.ldexp(x, torch.tensor(3)),
    "cross product": lambda x: torch.linalg.cross(
        x.expand(1, 3, 9, 10), torch.tensor([1.0, 2.0, 4.0]).view(1, 3, 1, 1), dim=1
    ),
    "joined with nothing": lambda x: torch.cat([torch.zeros(0), F.conv2d(x, _THREE), torch.zeros(1, 1, 7, 0)], -1),
    "enlarged in three axes": lambda x: F.interpolate(x[None], scale_factor=(2, 2, 3))[:, 0, ::2],
    "slope of a slice": lambda x: torch.func.vjp(lambda z: z[..., 1:10, :10], torch.zeros(1, 1, 12, 12))[1](x)[0],
    "slope of a choice": lambda x: torch.func.vjp(lambda z: z[:, 1], torch.zeros(1, 2, 9, 10))[1](x[0])[0],
    "copied views": lambda x: torch.view_copy(
        torch.expand_copy(torch.narrow_copy(x, -1, 1, 8), (1, 2, 9, 8)), (1, 2, 9, 8)
    ),
    "slope of a pool": _slope_of_pool(lambda z: F.avg_pool2d(z, 2), 18, 20),
    "slope of a padded pool": _slope_of_pool(lambda z: F.avg_pool2d(z, (3, 4), (2, 3), (1, 2)), 18, 28),
    "slope of a pool with its own divisor": _slope_of_pool(
        lambda z: F.avg_pool2d(z, 3, 1, 1, count_include_pad=False, divisor_override=7), 9, 10
    ),
    "nearest-exact": lambda x: F.interpolate(x, scale_factor=2, mode="nearest-exact"),
}


@pytest.mark.parametrize("name", OTHERWISE_WRITTEN)
def test_layers_written_in_other_ways_are_read(name):
    operation, x = OTHERWISE_WRITTEN[name], torch.randn(1, 1, 9, 10, generator=torch.Generator().manual_seed(0))
    verdict = as_conv2d(operation, (1, 9, 10))
    assert verdict.status is Status.PROVED, str(verdict)
    with torch.no_grad():
        torch.testing.assert_close(verdict.evidence.form(x), operation(x), rtol=1e-5, atol=1e-5)
    assert verify(verdict).status is Status.PROVED


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: torch.zeros(1, 1, 9, 10).scatter(-1, torch.zeros(1, 1, 9, 10, dtype=torch.long), x),
        lambda x: torch.zeros(1, 1, 9, 10).index_copy(-1, torch.arange(10) // 2, x),
        lambda x: torch.zeros(90).put(torch.arange(90) // 2, x).reshape(1, 1, 9, 10),
    ],
)
def test_values_that_meet_in_one_place_prove_nothing(operation):
    """Which of them stays is left open by torch."""
    assert as_conv2d(operation, (1, 9, 10)).status is Status.UNDECIDED


def test_a_slope_of_a_pool_that_leaves_padding_out_is_no_transposed_convolution_by_rule():
    operation = _slope_of_pool(lambda z: F.avg_pool2d(z, 3, 1, 1, count_include_pad=False), 9, 10)
    assert as_conv2d(operation, (1, 9, 10)).status is not Status.PROVED


def test_a_shape_that_is_used_says_nothing_of_the_values_beside_it():
    verdict = as_conv2d(lambda x: x + torch.ones_like(x.relu()), (1, 4, 5))
    assert verdict.status is Status.PROVED, str(verdict)
    assert as_conv2d(lambda x: x + torch.ones_like(x) * x.relu(), (1, 4, 5)).status is Status.REFUTED
