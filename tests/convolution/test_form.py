"""ConvForm: against loops, in and out of torch, folded, written, graded, and the catalogue."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from tests.oracles.convolution import conv2d, conv_transpose2d
from torch import nn

from mathdnn.convolution import ConvForm, added, after, as_conv2d, catalogue, equal_maps, form_of, grade, padded, scaled
from mathdnn.convolution.rational import nearest
from mathdnn.errors import InvalidInput
from mathdnn.verdict import Status
from mathdnn.verify import verify

SMALL = st.fractions(-2, 2, max_denominator=5)


@st.composite
def forms(draw, modes=("zeros", "reflect", "replicate", "circular"), stride=3, transposed=False):
    groups = draw(st.sampled_from([1, 2]))
    out, share = groups * draw(st.integers(1, 2)), draw(st.integers(1, 2))
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    size = out * share * kernel[0] * kernel[1]
    weight = np.array(draw(st.lists(SMALL, min_size=size, max_size=size)), dtype=object).reshape(out, share, *kernel)
    bias = draw(st.none() | st.lists(SMALL, min_size=out, max_size=out))
    pads = draw(st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2))
    strides = draw(st.tuples(st.integers(1, stride), st.integers(1, stride)))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    mode = draw(st.sampled_from(modes))
    more = {}
    if transposed:
        weight, bias = np.moveaxis(weight.reshape(groups, -1, *weight.shape[1:]), 1, 2), None if bias is None else bias
        weight = weight.reshape(groups * share, out // groups, *kernel)
        extents = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        pads = tuple(tuple(min(p, reach) for p in side) for side, reach in zip(pads, extents, strict=True))
        more = {"transposed": True, "output_padding": draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))}
    return ConvForm.of(
        weight, bias, stride=strides, padding=pads, padding_mode=mode, dilation=dilation, groups=groups, **more
    )


@given(forms(), st.integers(0, 5))
@settings(max_examples=60)
def test_a_form_is_what_the_formula_says(form, seed):
    image = np.random.default_rng(seed).integers(-4, 5, (form.in_channels, 7, 6)).astype(np.float64)
    bias = None if form.exact_bias is None else np.array(form.exact_bias, dtype=np.float64)
    expected = conv2d(
        image, form.array(), bias, form.stride, form.padding, form.padding_mode, form.dilation, form.groups
    )
    found = form(torch.from_numpy(image)[None])[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert form.output_size(7, 6) == found.shape[1:]


@given(forms(transposed=True), st.integers(0, 5))
@settings(max_examples=15)
def test_a_transposed_form_is_what_the_formula_says(form, seed):
    image = np.random.default_rng(seed).integers(-4, 5, (form.in_channels, 9, 8)).astype(np.float64)
    bias = None if form.exact_bias is None else np.array(form.exact_bias, dtype=np.float64)
    expected = conv_transpose2d(
        image, form.array(), bias, form.stride, form.padding, form.padding_mode, form.dilation, form.groups,
        form.output_padding,
    )  # fmt: skip
    found = form(torch.from_numpy(image)[None])[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert form.output_size(9, 8) == found.shape[1:]


@given(forms(transposed=True))
@settings(max_examples=20)
def test_a_transposed_form_is_found_again_from_its_layer(form):
    shape = (form.in_channels, 8, 9)
    verdict = as_conv2d(form.to_module(torch.float64), shape, dtype=torch.float64)
    assert verdict.status is Status.PROVED, str(verdict)
    found = form_of(verdict)
    assert equal_maps(form.rounded("float64"), found, shape).status is Status.PROVED
    assert ConvForm.from_plain(found.to_plain()) == found
    assert verify(verdict).status is Status.PROVED


@given(forms(transposed=True, modes=("zeros",)), forms(transposed=True), st.sampled_from(["first", "second", "none"]))
@settings(max_examples=40)
def test_transposed_forms_one_after_the_other(first, second, mix):
    """Folded where that is exact, refused in a sentence where it is not."""
    second = replace(second, exact=_resized(second, first.out_channels), groups=1, exact_bias=None)
    if mix != "none":
        eye = ConvForm.of([[[[Fraction(g + l, 2)]] for g in range(first.out_channels)] for l in range(3)], [1, 2, 3])  # noqa: E741
        first, second = (first, eye) if mix == "second" else (replace(eye, exact_bias=None), second)
        second = replace(second, exact=_resized(second, 3), groups=1) if mix == "first" else second
    else:
        first = replace(first, padding=((0, 0), (0, 0)), output_padding=(0, 0), exact_bias=None)
    image = torch.from_numpy(np.random.default_rng(0).standard_normal((1, first.in_channels, 6, 5)))
    if mix == "none" and second.padding_mode != "zeros":
        with pytest.raises(InvalidInput, match=r"keep the rest as two layers"):
            after(second, first)
        return
    folded = after(second, first)
    torch.testing.assert_close(folded(image), second(first(image)))


def _resized(form, channels):
    return ConvForm.of(
        np.resize(np.array(form.flat(), dtype=object), (channels, 2, *form.kernel_size)), transposed=True
    ).exact


def test_transposed_forms_add_and_scale():
    near, linear = catalogue.upsample_nearest(2), catalogue.upsample_bilinear(2)
    assert equal_maps(added(near, near), scaled(near, 2), (1, 4, 5)).status is Status.PROVED
    with pytest.raises(
        InvalidInput, match=r"^added\(a, b\): expected transposed forms that differ in weights and bias"
    ):
        added(near, linear)
    with pytest.raises(
        InvalidInput, match=r"^padded\(form\): expected a convolution that is not transposed, got a tran"
    ):
        padded(near, 1, 1, 1, 1)
    with pytest.raises(InvalidInput, match=r"^after\(second, first\): expected two transposed forms, or one and a mix"):
        after(catalogue.box(3), near)


def test_a_transposed_form_is_written_as_a_person_would():
    form = ConvForm.of([[[[1, 2]]]], [3], stride=2, padding=((0, 0), (0, 1)), padding_mode="replicate", transposed=True)
    assert str(form) == (
        "1x2 transposed convolution, 1 -> 1 channels, stride 2, padding top 0, bottom 0, left 0, right 1 of the image "
        "continued by its border pixels, bias [3], weight [[[[1, 2]]]]"
    )
    assert form.to_latex() == (
        "Y_{l,i,j} = b_l + \\sum_{g=0}^{0}\\sum_{a=0}^{0}\\sum_{b=0}^{1}\\sum_{y,x:\\, i = 2y+a,\\, j = 2x+b} "
        "w^{(g,l)}_{a,b}\\, X_{g,y,x},\n"
        "w^{(0,0)} = \\begin{pmatrix} 1 & 2 \\end{pmatrix},\n"
        "b = (3)"
    )


def test_a_transposed_layer_goes_in_and_out_of_torch():
    layer = nn.ConvTranspose2d(2, 4, 3, stride=2, padding=1, output_padding=1, dilation=2, groups=2)
    form = ConvForm.from_module(layer)
    assert isinstance(form.to_module(), nn.ConvTranspose2d)
    assert torch.equal(form.weight, layer.weight.detach())
    assert torch.equal(form.bias, layer.bias.detach())
    assert (form.in_channels, form.out_channels, form.output_size(5, 6)) == (2, 4, (12, 14))
    image = torch.rand(1, 2, 5, 6)
    torch.testing.assert_close(form(image), layer(image))


@given(forms())
@settings(max_examples=60)
def test_a_form_is_found_again_from_its_layer(form):
    shape = (form.in_channels, 9, 10)
    verdict = as_conv2d(form.to_module(torch.float64), shape, dtype=torch.float64)
    assert verdict.status is Status.PROVED, str(verdict)
    found = form_of(verdict)
    assert equal_maps(form.rounded("float64"), found, shape).status is Status.PROVED
    assert ConvForm.from_plain(found.to_plain()) == found


@given(forms(), forms(modes=("zeros",)))
@settings(max_examples=40)
def test_after(first, second):
    second = ConvForm.of(
        np.resize(np.array(second.flat(), dtype=object), (2, first.out_channels, *second.kernel_size)),
        stride=second.stride,
        dilation=second.dilation,
    )
    shape = (first.in_channels, 13, 14)

    if min(second.output_size(*first.output_size(13, 14))) < 1:
        return
    folded = after(second, first).to_module(torch.float64)
    chain = nn.Sequential(first.to_module(torch.float64), second.to_module(torch.float64))
    image = torch.from_numpy(np.random.default_rng(0).standard_normal((1, *shape)))
    torch.testing.assert_close(folded(image), chain(image))


@given(forms(stride=1), st.integers(0, 3))
@settings(max_examples=40)
def test_added_and_scaled(form, seed):
    other = scaled(form, Fraction(-1, 3))
    x = torch.from_numpy(np.random.default_rng(seed).standard_normal((1, form.in_channels, 7, 8)))
    torch.testing.assert_close(added(form, other)(x), form(x) * 2 / 3)


def test_added_forms_of_different_kernels():
    total = added(catalogue.identity(), scaled(catalogue.laplacian(), -1))
    assert equal_maps(total, catalogue.sharpen(), (1, 6, 7)).status is Status.PROVED


def test_what_no_single_form_computes_is_refused():
    blur = catalogue.box(3)
    with pytest.raises(InvalidInput, match=r"^after\(second, first\): expected a second form without padding"):
        after(blur, blur)
    folded = after(ConvForm.of([[[[1] * 3] * 3]]), padded(catalogue.identity(), 1, 1, 1, 1))
    assert folded.padding == ((1, 1), (1, 1))


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_a_padding_before_a_form_folds(mode):
    form = ConvForm.of([[[[1, 2, 5], [0, 1, 7]]]])
    op = nn.Sequential(module_pad(mode), form.to_module())
    assert equal_maps(op, padded(form, 2, 0, 1, 3, mode), (1, 6, 7)).status is Status.PROVED
    again = pytest.raises(
        InvalidInput, match=r"^padded\(form\): expected circular padding before a form without padding"
    )
    with again:
        padded(padded(form, 1, 0, 0, 0, "circular"), 1, 0, 0, 0, "circular")
    twice = padded(padded(form, 1, 0, 1, 1, "replicate"), 1, 0, 0, 2, "replicate")
    assert twice == padded(form, 2, 0, 1, 3, "replicate")


def module_pad(mode):
    pads = {"zeros": nn.ZeroPad2d, "reflect": nn.ReflectionPad2d, "replicate": nn.ReplicationPad2d}
    return pads.get(mode, nn.CircularPad2d)((1, 3, 2, 0))


@pytest.mark.parametrize("name", catalogue.CATALOGUE)
def test_the_catalogue_is_found_again(name):
    form = catalogue.CATALOGUE[name]()
    shape = (form.in_channels, 8, 12)
    verdict = as_conv2d(form.rounded().to_module(), shape)
    assert equal_maps(form_of(verdict), form.rounded(), shape).status is Status.PROVED


def test_the_catalogue_is_what_torch_computes():
    import torch.nn.functional as F

    cases = [
        (catalogue.pixel_unshuffle(2, 2), lambda x: F.pixel_unshuffle(x, 2), (2, 6, 8)),
        (catalogue.subsample(3), lambda x: x[..., ::3, ::3], (1, 8, 9)),
        (catalogue.shift(2, -1), lambda x: F.pad(x, (0, 1, 2, 0))[..., :-2, 1:], (1, 6, 7)),
        (catalogue.swap_channels((2, 0, 1)), lambda x: x[:, [2, 0, 1]], (3, 4, 5)),
        (catalogue.box(3), lambda x: F.avg_pool2d(x, 3, 1, 1), (1, 6, 7)),
        (catalogue.upsample_nearest(3, 2), lambda x: F.interpolate(x, scale_factor=3), (2, 4, 5)),
        *(
            (
                catalogue.upsample_bilinear(r),
                lambda x, r=r: F.interpolate(x, scale_factor=r, mode="bilinear"),
                (1, 4, 5),
            )
            for r in (2, 3, 4, 5)
        ),
        *(
            (catalogue.upsample_bicubic(r), lambda x, r=r: F.interpolate(x, scale_factor=r, mode="bicubic"), (1, 4, 5))
            for r in (1, 2, 3, 4, 5)
        ),
        (catalogue.pixel_shuffle(3, 2), lambda x: F.pixel_shuffle(x, 3), (18, 2, 3)),
        (
            catalogue.zero_insertion(2),
            lambda x: (
                torch.stack([x, 0 * x], -1)
                .flatten(-2)[:, :, :, None]
                .expand(-1, -1, -1, 2, -1)
                .mul(torch.tensor([[1.0], [0.0]]))
                .flatten(2, 3)
            ),
            (1, 3, 4),
        ),
        (catalogue.unsharp(2), lambda x: 3 * x - 2 * F.avg_pool2d(x, 3, 1, 1), (1, 6, 7)),
        (catalogue.motion_blur(3, 0), lambda x: F.avg_pool2d(x, (3, 1), 1, (1, 0)), (1, 6, 7)),
        (
            catalogue.motion_blur(3, 2),
            lambda x: sum(F.pad(x, (1, 1, 1, 1))[..., k : k + x.shape[-2], k : k + x.shape[-1]] for k in range(3)) / 3,
            (1, 6, 7),
        ),
        (
            catalogue.central_difference(0, 1, "replicate"),
            lambda x: (
                (
                    F.pad(x, (0, 0, 1, 1), mode="replicate")[..., 2:, :]
                    - F.pad(x, (0, 0, 1, 1), mode="replicate")[..., :-2, :]
                )
                / 2
            ),
            (1, 6, 7),
        ),
        (
            catalogue.second_difference(1),
            lambda x: F.pad(x, (1, 1))[..., 2:] - 2 * x + F.pad(x, (1, 1))[..., :-2],
            (1, 6, 7),
        ),
        (catalogue.channel_mean(2), lambda x: x.mean(1, keepdim=True), (2, 4, 5)),
        (catalogue.depthwise([[[1]], [[2]]]), lambda x: x * torch.tensor([1.0, 2.0])[:, None, None], (2, 4, 5)),
    ]
    for form, op, shape in cases:
        assert equal_maps(op, form, shape).status is Status.PROVED


@pytest.mark.parametrize("kind", [np.float32, np.float16])
@given(value=st.fractions(-65000, 65000))
def test_nearest_is_the_nearest_float(kind, value):
    found = nearest(value, kind.__name__)
    assert type(found) is kind
    for other in (np.nextafter(found, kind(-np.inf)), np.nextafter(found, kind(np.inf))):
        assert abs(Fraction(float(found)) - value) <= abs(Fraction(float(other)) - value)


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_the_largest_float_is_the_nearest_of_what_is_a_little_less(kind):
    largest = Fraction(float(np.finfo(kind).max))
    assert nearest(largest, kind.__name__) == nearest(largest - Fraction(1, 3), kind.__name__) == np.finfo(kind).max


def test_forms_are_rounded_to_formats_that_are_known():
    box = catalogue.box(3)
    assert box.rounded("float16").flat() == [Fraction(float(np.float16(1 / 9)))] * 9
    assert not box.is_exact_in("float16")
    for ask in (box.rounded, box.is_exact_in):
        with pytest.raises(InvalidInput, match=r"expected float64, float32 or float16, got 'bfloat16'; choose one"):
            ask("bfloat16")


def test_written_as_a_person_would():
    form = ConvForm.of([[[[1, Fraction(1, 3)]]]], [2], stride=2, padding=((0, 0), (1, 0)), padding_mode="reflect")
    assert str(form) == (
        "1x2 convolution, 1 -> 1 channels, stride 2, reflect padding top 0, bottom 0, left 1, right 0, bias [2], "
        "weight [[[[1, 1/3]]]]"
    )
    assert form.flipped == ((((Fraction(1, 3), Fraction(1)),),),)
    assert form.to_latex() == (
        "Y_{l,i,j} = b_l + \\sum_{g=0}^{0}\\sum_{a=0}^{0}\\sum_{b=0}^{1} w^{(l,g)}_{a,b}\\, X_{g,\\,2i+a,\\,2j+b-1},\n"
        "w^{(0,0)} = \\begin{pmatrix} 1 & 1/3 \\end{pmatrix},\n"
        "b = (2)"
    )


def test_to_module_is_a_plain_layer_where_torch_has_one():
    layer = nn.Conv2d(2, 4, 3, stride=2, padding=1, padding_mode="circular", dilation=2, groups=2)
    form = ConvForm.from_module(layer)
    assert isinstance(form.to_module(), nn.Conv2d)
    assert torch.equal(form.weight, layer.weight.detach())
    assert torch.equal(form.bias, layer.bias.detach())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"weight": [[1]]},
            r"^ConvForm.of\(weight\): expected numbers of shape \(out, in / groups, h, w\), got shape \(1, 1\)",
        ),
        ({"weight": [[[[float("nan")]]]]}, r"^ConvForm\(weight=...\): expected finite numbers, got nan"),
        ({"stride": 0}, r"^ConvForm\(stride=...\): expected one or two whole numbers of at least 1, got 0"),
        ({"padding": -1}, r"^ConvForm\(padding=...\): expected one or two whole numbers of at least 0, got -1"),
        ({"padding_mode": "mirror"}, r"^ConvForm\(padding_mode=...\): expected zeros or reflect or .*, got 'mirror'"),
        (
            {"output_padding": 1},
            r"^ConvForm\(output_padding=...\): expected none for a convolution that is not transposed, got \(1, 1\)",
        ),
        ({"groups": 2}, r"^ConvForm\(groups=...\): expected a positive divisor of the output channels, got 2 with 1"),
        ({"bias": [1, 2]}, r"^ConvForm\(bias=...\): expected 1 numbers, one for each output channel, got 2"),
    ],
)
def test_bad_forms_are_refused_in_a_sentence(arguments, message):
    with pytest.raises(InvalidInput, match=message):
        ConvForm.of(**{"weight": [[[[1]]]], **arguments})


RIGHT = np.array([[[0, 0, 0], [0, -1, 0], [0, 1, 0]], [[0, 0, 0], [0, -1, 1], [0, 0, 0]]])
WRONG = {
    "shifted by (-1, -1): each output reads the pixels that far off; it would be right without padding": np.roll(
        RIGHT, (-1, -1), (1, 2)
    ),
    "turned by half a turn (the convention with flip)": RIGHT[:, ::-1, ::-1],
    "transposed (rows and columns exchanged)": RIGHT.transpose(0, 2, 1),
    "the right kernel times -2": -2 * RIGHT,
}


def test_a_right_kernel_is_graded_right():
    verdict = grade(RIGHT, "finite-difference", padding=1)
    assert verdict.status is Status.PROVED
    assert verdict.evidence.form.padding == ((1, 1), (1, 1))


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_kernel_is_told_what_is_wrong(words):
    verdict = grade(WRONG[words], "finite-difference", padding=1)
    assert verdict.status is Status.REFUTED
    assert words in verdict.evidence.statement


@pytest.mark.parametrize(
    ("padding", "words"), [(0, "0"), (((1, 1), (0, 2)), "top 1, bottom 1, left 0, right 2")], ids=["none", "one side"]
)
def test_another_padding_is_named(padding, words):
    sobel = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]
    said = grade(sobel, "sobel-x", padding=padding).evidence.statement
    assert said.endswith(f"The kernel is right, and the padding is not: {words}, where the target has 1.")


def test_swapped_channels_are_named():
    verdict = grade([[[[Fraction(114, 1000)]], [[Fraction(587, 1000)]], [[Fraction(299, 1000)]]]], "grey")
    assert verdict.evidence.statement.endswith("It is the right kernel with its input channels in another order.")


def test_a_target_can_be_an_operation():
    assert grade([[1, -1]], lambda x: x[..., :-1] - x[..., 1:]).status is Status.PROVED
    assert grade([[-2, 2]], lambda x: x[..., :-1] - x[..., 1:]).evidence.data["remark"].endswith("times -2.")


def test_a_difference_turned_by_half_a_turn_is_said_to_be_that_and_times_minus_1():
    said = grade([[1, 0, -1], [2, 0, -2], [1, 0, -1]], "sobel-x", padding=1).evidence.data["remark"]
    assert said == "It is the right kernel times -1. A turn by half a turn (the convention with flip) gives the same."


ONE_WRONG = {
    "another": (
        [[-1, 0, 1], [-2, 0, 2], [-1, 0, 3]],
        "row 2, column 2, from input channel 0 to output channel 0",
        3,
        1,
    ),
    "left out": (
        [[-1, 0, 1], [-2, 0, 2], [0, 0, 1]],
        "row 2, column 0, from input channel 0 to output channel 0",
        0,
        -1,
    ),
    "too many": (
        [[-1, 0, 1], [-2, 5, 2], [-1, 0, 1]],
        "row 1, column 1, from input channel 0 to output channel 0",
        5,
        0,
    ),
}


@pytest.mark.parametrize("name", ONE_WRONG)
def test_one_wrong_weight_is_named(name):
    kernel, place, is_, should = ONE_WRONG[name]
    said = grade(kernel, "sobel-x", padding=1).evidence.data["remark"]
    assert said == f"One weight is wrong: at {place} (counted from 0), it is {is_}, and it should be {should}."


def test_one_wrong_weight_of_a_dilated_kernel_in_groups_and_of_a_transposed_one_is_named():
    right = ConvForm.of([[[[1, 2]]], [[[3, 4]]], [[[5, 6]]], [[[7, 8]]]], groups=2, dilation=(1, 3), padding=(0, 2))
    handed_in = [[[[1, 2]]], [[[3, 4]]], [[[5, 9]]], [[[7, 8]]]]
    said = grade(handed_in, right, groups=2, dilation=(1, 3), padding=(0, 2)).evidence.data["remark"]
    place = "row 0, column 1, from input channel 1 to output channel 2 (counted from 0)"
    assert said == f"One weight is wrong: at {place}, it is 9, and it should be 6."
    said = grade([[1, 1], [1, 2]], "upsample-nearest-2", stride=2, transposed=True).evidence.data["remark"]
    place = "row 1, column 1, from input channel 0 to output channel 0 (counted from 0)"
    assert said == f"One weight is wrong: at {place}, it is 2, and it should be 1."


def test_a_weight_that_the_kernel_handed_in_has_no_place_for_is_not_named():
    right = ConvForm.of([[[[1, 2, 3]]]])
    assert grade([[1, 2]], right, padding=((0, 0), (0, 1))).evidence.data["remark"] == ""


def test_an_unknown_target_is_refused():
    with pytest.raises(InvalidInput, match=r"^grade\(target=...\): expected finite-difference or .*, got 'blur'"):
        grade([[1]], "blur")


def test_a_float_factor_is_the_number_that_it_stands_for():
    form = scaled(catalogue.identity(), 0.1)
    assert form.exact == ((((Fraction(0.1),),),),)
    assert scaled(catalogue.identity(), np.float32(0.1)).exact == ((((Fraction(float(np.float32(0.1))),),),),)
    assert scaled(catalogue.identity(), 10**400).exact == ((((Fraction(10**400),),),),)
    assert str(form)


@pytest.mark.parametrize("factor", [float("nan"), float("inf"), "half", None])
def test_what_is_no_factor_is_refused(factor):
    with pytest.raises(InvalidInput, match=r"scaled\(factor\): expected finite numbers"):
        scaled(catalogue.identity(), factor)


@pytest.mark.parametrize("sides", [(-1, 0, 0, 0), (1.5, 0, 0, 0)])
def test_a_padding_of_no_whole_pixels_is_refused(sides):
    with pytest.raises(InvalidInput, match=r"expected whole numbers from 0"):
        padded(catalogue.identity(), *sides)
