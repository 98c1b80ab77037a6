"""Operations through Fourier transforms are read as the circular convolutions that they are, or not at all."""

from __future__ import annotations

import re

import pytest
import torch
from tests.verify.tampering import replaced, resealed
from torch import fft

from mathdnn.convolution import as_conv2d, equal_maps, form_of
from mathdnn.convolution.fourier import spectrum, sums, transforms
from mathdnn.verdict import Status, Verdict
from mathdnn.verify import verify

K = torch.tensor([[1.0, 2.0], [3.0, 5.0]])
MANY = torch.randn(2, 3, 3, 3, generator=torch.Generator().manual_seed(1))


def _size(x, more=0):
    return [n + more for n in x.shape[-2:]]


def circular(x):
    return fft.irfft2(fft.rfft2(x) * fft.rfft2(K, s=_size(x)), s=_size(x))


def correlated(x):
    return fft.ifft2(fft.fft2(x) * fft.fft2(K, s=_size(x)).conj()).real


def linear(x):
    s = _size(x, 1)
    return fft.irfft2(fft.rfft2(x, s=s) * fft.rfft2(K, s=s), s=s)


def valid(x):
    return linear(x)[..., 1:-1, 1:-1]


def channels(x):
    kernel = fft.rfft2(MANY, s=_size(x))
    return fft.irfft2(torch.einsum("nihw,oihw->nohw", fft.rfft2(x), kernel), s=_size(x))


def channels_by_sums(x):
    return fft.irfft2((fft.rfft2(x)[:, None] * fft.rfft2(MANY, s=_size(x))).sum(2), s=_size(x))


def orthonormal(x):
    kernel = fft.rfft2(K, s=_size(x))
    return fft.irfft2(fft.rfft2(x, norm="ortho") * kernel, s=_size(x), norm="ortho")


def one_axis(x):
    line = fft.rfft(torch.tensor([1.0, -1.0]), n=x.shape[-1])
    return fft.irfft(fft.rfft(x) * line, n=x.shape[-1])


def axis_by_axis(x):  # the image's axes the other way round than the kernel's
    coefficients = fft.fft(fft.fft(x, dim=-1), dim=-2) * fft.fft2(K, s=_size(x))
    return fft.ifft(fft.ifft(coefficients, dim=-2), dim=-1).real


def centred(x):
    kernel = fft.fftshift(fft.fft2(K, s=_size(x)))
    product = fft.fftshift(fft.fft2(x), dim=(-2, -1)) * kernel
    return fft.ifft2(fft.ifftshift(product, dim=(-2, -1))).real


def placed(x):
    kernel = torch.zeros(x.shape[-2:])
    kernel[:3, :3] = torch.arange(9.0).reshape(3, 3)
    return fft.irfft2(fft.rfft2(x) * fft.rfft2(kernel.roll((-1, -1), (0, 1))), s=_size(x))


def scaled(x):
    return fft.irfft2(0.5 * fft.rfft2(x) * (-fft.rfft2(K, s=_size(x)) / 3), s=_size(x))


def twice(x):
    kernel = fft.rfft2(K, s=_size(x))
    return fft.irfft2(fft.rfft2(x) * kernel * kernel, s=_size(x))


def with_itself(x):
    coefficients = fft.rfft2(x)
    return fft.irfft2(coefficients + 3 * coefficients * fft.rfft2(K, s=_size(x)), s=_size(x))


SCALES, ORDER = torch.tensor([2.0, -0.5])[:, None, None], torch.tensor([1, 0])


def by_channels(x):
    coefficients = fft.rfft2(x).index_select(1, ORDER) * SCALES * torch.tensor(3.0)
    return fft.irfft2(coefficients, s=_size(x))


def in_doubles(x):
    return fft.ifft2(fft.fft2(x.to(torch.complex128)) * fft.fft2(K, s=_size(x))).real.float()


def there_and_back(x):
    return fft.ifft2(fft.fft2(x)).real


def imaginary(x):
    return x - fft.ifft2(fft.fft2(x)).imag


def in_parts(x):
    first, second = fft.rfft2(x).unbind(1)
    return fft.irfft2(torch.stack([first, 2 * second], 1), s=_size(x))


def beside_unused(x):
    fft.rfft2(x).abs()
    return circular(x)


def summed_in_doubles(x):
    total = torch.sum(fft.rfft2(x)[:, None], 2, dtype=torch.complex128)
    return fft.irfft2(total, s=_size(x)).float()


def enlarged(x):
    return fft.irfft2(fft.rfft2(x) * 2.0**100, s=_size(x))


READ = [
    (circular, (1, 6, 7), [[[[5, 3], [2, 1]]]], ((1, 0), (1, 0)), "circular"),
    (correlated, (1, 6, 7), [[[[1, 2], [3, 5]]]], ((0, 1), (0, 1)), "circular"),
    (linear, (1, 6, 7), [[[[5, 3], [2, 1]]]], ((1, 1), (1, 1)), "zeros"),
    (valid, (1, 6, 7), [[[[5, 3], [2, 1]]]], ((0, 0), (0, 0)), "zeros"),
    (channels, (3, 6, 8), MANY.flip(-2, -1).tolist(), ((2, 0), (2, 0)), "circular"),
    (channels_by_sums, (3, 6, 6), MANY.flip(-2, -1).tolist(), ((2, 0), (2, 0)), "circular"),
    (orthonormal, (1, 5, 7), [[[[5, 3], [2, 1]]]], ((1, 0), (1, 0)), "circular"),
    (one_axis, (1, 4, 7), [[[[-1, 1]]]], ((0, 0), (1, 0)), "circular"),
    (axis_by_axis, (1, 6, 7), [[[[5, 3], [2, 1]]]], ((1, 0), (1, 0)), "circular"),
    (axis_by_axis, (1, 7, 7), [[[[5, 3], [2, 1]]]], ((1, 0), (1, 0)), "circular"),
    (centred, (1, 6, 7), [[[[5, 3], [2, 1]]]], ((1, 0), (1, 0)), "circular"),
    (placed, (1, 6, 7), [[[[8, 7, 6], [5, 4, 3], [2, 1, 0]]]], ((1, 1), (1, 1)), "circular"),
    (scaled, (1, 6, 6), [[[[-5 / 6, -1 / 2], [-1 / 3, -1 / 6]]]], ((1, 0), (1, 0)), "circular"),
    (twice, (1, 6, 7), [[[[25, 30, 9], [20, 22, 6], [4, 4, 1]]]], ((2, 0), (2, 0)), "circular"),
    (with_itself, (1, 6, 7), [[[[15, 9], [6, 4]]]], ((1, 0), (1, 0)), "circular"),
    (by_channels, (2, 5, 6), [[[[0]], [[6]]], [[[-1.5]], [[0]]]], ((0, 0), (0, 0)), "zeros"),
    (in_doubles, (1, 6, 7), [[[[5, 3], [2, 1]]]], ((1, 0), (1, 0)), "circular"),
    (there_and_back, (1, 5, 6), [[[[1]]]], ((0, 0), (0, 0)), "zeros"),
    (imaginary, (1, 5, 6), [[[[1]]]], ((0, 0), (0, 0)), "zeros"),
    (in_parts, (2, 5, 6), [[[[1]]], [[[2]]]], ((0, 0), (0, 0)), "zeros"),
    (beside_unused, (1, 6, 7), [[[[5, 3], [2, 1]]]], ((1, 0), (1, 0)), "circular"),
    (summed_in_doubles, (3, 6, 7), [[[[1]], [[1]], [[1]]]], ((0, 0), (0, 0)), "zeros"),
    (enlarged, (1, 5, 6), [[[[2.0**100]]]], ((0, 0), (0, 0)), "zeros"),
]


@pytest.mark.parametrize(("operation", "shape", "weight", "padding", "mode"), READ)
def test_products_of_fourier_coefficients_are_circular_convolutions(operation, shape, weight, padding, mode):
    verdict = as_conv2d(operation, shape)
    assert verdict.status is Status.PROVED, str(verdict)
    form = form_of(verdict)
    assert torch.equal(form.weight, torch.tensor(weight, dtype=form.weight.dtype))
    assert (tuple(map(tuple, form.padding)), form.padding_mode) == (padding, mode)
    assert verify(Verdict.from_json(verdict.to_json())).status is Status.PROVED


@pytest.mark.parametrize(("operation", "shape", "weight", "padding", "mode"), READ)
def test_floats_lose_no_more_in_transforms_than_the_bound_says(operation, shape, weight, padding, mode):
    verdict = as_conv2d(operation, shape)
    layer, bound = form_of(verdict).to_module(torch.float64), verdict.evidence.data["rounding"]
    made = torch.Generator().manual_seed(2)
    for image in (torch.randn(shape, generator=made), torch.ones(shape), torch.randn(shape, generator=made).sign()):
        off = (operation(image[None]).double() - layer(image[None].double())).abs().max()
        assert off <= bound["slope"] * image.abs().max() + bound["offset"]


def turned(x):  # 0, but for what floats round
    return fft.ifft2(fft.fft2(x) * fft.fft2(K, s=_size(x))).imag


def test_where_reals_cancel_the_bound_counts_what_transforms_round():
    verdict = as_conv2d(turned, (1, 16, 9))
    assert verdict.status is Status.PROVED, str(verdict)
    assert not form_of(verdict).weight.any()
    bound = verdict.evidence.data["rounding"]
    assert turned(torch.randn(1, 1, 16, 9, generator=torch.Generator().manual_seed(2))).abs().max() <= bound["slope"]
    assert verify(Verdict.from_json(verdict.to_json())).status is Status.PROVED


def test_what_transforms_round_in_floats_is_counted_as_of_floats_though_sums_are_in_doubles():
    one, two = (
        as_conv2d(operation, (3, 6, 7)).evidence.data["rounding"]["slope"]
        for operation in (summed_in_doubles, lambda x: fft.irfft2(fft.rfft2(x).sum(1, keepdim=True), s=_size(x)))
    )
    assert one > two / 3  # the way there


@pytest.mark.parametrize("times", [3, 1.1, 0.7])
def test_each_number_that_coefficients_are_multiplied_by_counts(times):
    def often(x):
        z = fft.rfft2(x)
        for _ in range(20):
            z = z * times / times
        return fft.irfft2(z, s=_size(x))

    several, one = (
        as_conv2d(operation, (1, 6, 7)).evidence.data["rounding"]["slope"]
        for operation in (often, lambda x: fft.irfft2(fft.rfft2(x), s=_size(x)))
    )
    assert several > one + 40 * 2.0**-24 * 42**0.5


@pytest.mark.parametrize("number", [31, 90])
def test_a_product_of_images_takes_no_table_of_all_pairs_of_pixels(number):
    verdict = as_conv2d(lambda x: fft.irfft2(fft.rfft2(x) * fft.rfft2(x), s=_size(x)), (1, number, 32))
    assert verdict.status is Status.REFUTED
    assert len(verdict.to_json()) < 400_000
    assert verify(Verdict.from_json(verdict.to_json())).status is Status.PROVED


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("times", [1.0, 1e8])
def test_what_is_0_but_for_the_rounding_of_transforms_is_not_refuted_by_that(dtype, times):
    def masked_imaginary(x):
        mask = (fft.fftfreq(x.shape[-1]).abs() < 0.3).float()
        return times * fft.ifft2(fft.fft2(x) * mask).imag

    assert as_conv2d(masked_imaginary, (1, 16, 9), dtype=dtype).status is Status.UNDECIDED


@pytest.mark.parametrize("shape", [(1, 31, 37), (1, 1, 9), (1, 9, 1), (2, 4, 4), (1, 3, 64)])
def test_lengths_may_be_prime_and_channels_many(shape):
    def through(x):
        kernel = torch.arange(1.0, 1 + min(2, x.shape[-2]) * 3).reshape(-1, 3)[:, : x.shape[-1]]
        return fft.irfft2(fft.rfft2(x) * fft.rfft2(kernel, s=_size(x)), s=_size(x))

    verdict = as_conv2d(through, shape, dtype="float64")
    assert verdict.status is Status.PROVED, str(verdict)
    image = torch.randn(1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    assert torch.allclose(form_of(verdict).to_module(torch.float64)(image), through(image), atol=1e-4)


def test_a_layer_and_its_fourier_form_are_the_same_map():
    layer = torch.nn.Conv2d(1, 1, 2, padding=1, bias=False)
    layer.requires_grad_(False).weight.copy_(K.flip(0, 1)[None, None])
    assert equal_maps(layer, linear, (1, 6, 7)).status is Status.PROVED
    with torch.no_grad():
        layer.weight[0, 0, 1, 1] += 2.0**-20
    assert equal_maps(layer, linear, (1, 6, 7)).status is Status.REFUTED


def masked(x):
    coefficients = fft.rfft2(x)
    return fft.irfft2(coefficients * (torch.arange(coefficients.shape[-1]) < 2).float(), s=_size(x))


def derived(x):
    return fft.ifft(fft.fft(x) * (2j * torch.pi * fft.fftfreq(x.shape[-1]))).real


SPECTRUM = fft.rfft2(K, s=(6, 7))


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (masked, r"different frequencies by numbers of their own"),
        (derived, r"not made from real ones within it"),
        (lambda x: fft.irfft2(fft.rfft2(x) * SPECTRUM, s=_size(x)), r"not made from real ones within it"),
        (lambda x: fft.irfft2(fft.rfft2(x)), r"coefficients as those of a signal of 6 numbers, which they are not"),
        (lambda x: fft.irfft(fft.rfft(x)[..., :3], n=x.shape[-1]), r"zeros around Fourier coefficients"),
        (lambda x: fft.irfft(fft.rfft(x).roll(1, -1), n=7), r"not all coefficients of one signal in their order"),
        (lambda x: fft.fft2(x).real, r"it looks at Fourier coefficients"),
        (lambda x: fft.irfft2(fft.rfft2(x) * 2.0**-100 * 2.0**-100, s=_size(x)), r"scaled by is no float"),
        (
            lambda x: fft.ifft2(fft.fft2(x.to(torch.complex64) * torch.tensor(0.1, dtype=torch.float64))).real,
            r"rounds the coefficients of a constant",
        ),
        (
            lambda x: fft.ifft2(fft.fft2(x) * fft.fft2(fft.ifft2(fft.fft2(K, s=_size(x))))).real,
            r"coefficients of a constant back",
        ),
        (
            lambda x: circular(x) + fft.irfft2(fft.rfft2(x) * (fft.rfft2(K, s=_size(x)) ** 2), s=_size(x)),
            r"aten\.pow",
        ),
    ],
)
def test_coefficients_of_no_known_signal_are_left_open_and_named(operation, why):
    verdict = as_conv2d(operation, (1, 6, 7))
    assert verdict.status is Status.UNDECIDED
    assert re.search(why, str(verdict)), str(verdict)
    assert "While executing" not in str(verdict)


@pytest.mark.parametrize(
    ("operation", "checked"),
    [
        (lambda x: circular(x).relu(), Status.PROVED),
        (lambda x: fft.ifft2(fft.fft2(x) * fft.fft2(K, s=_size(x))).abs(), Status.PROVED),
        (lambda x: fft.ifft2(fft.fft2(x) * fft.fft2(x)).real, Status.PROVED),
        (lambda x: fft.irfft2(fft.rfft2(x[:, :1]) * fft.rfft2(x[:, -1:]).conj(), s=_size(x)), Status.PROVED),
        (lambda x: fft.irfft2(fft.rfft2(x) * x.mean(), s=_size(x)), Status.PROVED),
        (lambda x: fft.irfft2(x.mean() * fft.rfft2(x), s=_size(x)), Status.PROVED),
        (lambda x: fft.fft2(x).abs(), Status.UNDECIDED),  # it has to be run itself
    ],
)
def test_what_is_not_linear_in_the_image_is_refuted(operation, checked):
    verdict = as_conv2d(operation, (1, 6, 7))
    assert verdict.status is Status.REFUTED
    assert verify(Verdict.from_json(verdict.to_json())).status is checked


def test_transforms_along_more_axes_than_torch_convolves_are_left_open():
    def through(x):
        kernel = fft.fftn(torch.arange(48.0).reshape(2, 2, 2, 6))
        return fft.ifftn(fft.fftn(x.reshape(2, 2, 2, 6)) * kernel).real.reshape(x.shape)

    assert "along more than 3 axes" in str(as_conv2d(through, (1, 8, 6)))


def test_a_transform_of_a_transform_turns_the_image_around_and_is_no_convolution():
    verdict = as_conv2d(lambda x: fft.fft2(fft.fft2(x)).real, (1, 6, 7))
    assert verdict.status is Status.REFUTED
    assert "changes by 42" in str(verdict)
    assert verify(Verdict.from_json(verdict.to_json())).status is Status.PROVED


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("slope",), 1e-5, "the rounding bound is too small"),
        (
            ("holds_for",),
            "sums of products in any order, without Winograd or FFT, overflow and underflow",
            "hold for what was not checked",
        ),
    ],
)
def test_the_bound_is_checked_with_what_transforms_round(path, value, said):
    plain = as_conv2d(circular, (1, 6, 7)).to_plain()
    assert verify(resealed(plain)).status is Status.PROVED
    assert said in str(verify(resealed(replaced(plain, ("evidence", "data", "rounding", *path), value))))


def test_a_mark_with_another_number_than_a_count_is_malformed():
    plain = as_conv2d(circular, (1, 6, 7)).to_plain()
    nodes = plain["evidence"]["data"]["left"]["graph"]["nodes"]
    last = max(k for k, node in enumerate(nodes) if node["op"] == "fourier")
    for args in ([-1, 0], [1.5, 0], [1, 1]):
        path = ("evidence", "data", "left", "graph", "nodes", last, "args")
        forged = resealed(replaced(plain, path, [nodes[last]["args"][0], *args]))
        assert "malformed" in str(verify(forged))


@pytest.mark.parametrize("constant", [True, False])
def test_products_of_both_kinds_are_those_of_torch(constant):
    made = torch.Generator().manual_seed(4)
    x, y = torch.randn(2, 5, 6, generator=made).double(), torch.randn(2, 5, 6, generator=made).double()
    z, w = spectrum.lifted(x, False), spectrum.lifted(y, constant)
    for axis in (1, 2):
        z, w = transforms.transformed(z, axis, True), transforms.transformed(w, axis, True)
    product = sums.product(z, spectrum.conjugate(w), torch.float64)
    for axis in (1, 2):
        product = transforms.transformed(product, axis, False)
    expected = fft.ifft2(fft.fft2(x) * fft.fft2(y).conj(), norm="forward").real
    assert torch.allclose(spectrum.in_reals(product), expected)


WHOLE = fft.fft2(torch.randn(5, 5, generator=torch.Generator().manual_seed(5)), s=(8, 9))


@pytest.mark.parametrize("large", [1.0, 1e7])
def test_noise_of_an_operation_that_leaves_no_graph_is_no_violation(large):
    verdict = as_conv2d(
        lambda x: (large * fft.ifft2(fft.fft2(x.to(torch.complex64)) * WHOLE).imag).to(x.dtype), (1, 8, 9)
    )
    assert verdict.status is Status.UNDECIDED
