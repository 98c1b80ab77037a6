"""Operations that keep values between calls: they are as before after being read, and never proved to be what they are
not; and operations that do something else where gradients are enabled."""

from __future__ import annotations

import collections
import functools
import time

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensor
from torch.utils._pytree import tree_leaves

from mathdnn.convolution import as_conv2d, equal_maps
from mathdnn.errors import InvalidInput
from mathdnn.verdict import Status

SHAPE = (1, 4, 4)


class Keeping(nn.Module):
    """Has attributes to keep something in, and does `step` at each call."""

    def __init__(self, step) -> None:
        super().__init__()
        self.step = step
        self.w, self.last, self.calls = torch.ones(1), None, 0
        self.seen, self.cache, self.recent = [], {}, collections.deque(maxlen=3)
        self.register_buffer("mean", torch.zeros(1))
        self.inner = nn.Conv2d(1, 1, 3)

    def forward(self, x):
        return self.step(self, x)


def _grow(m, x):
    m.w = m.w * 1.0
    return x * m.w


def _average(m, x):
    m.mean = 0.9 * m.mean + 0.1 * x.mean()
    return x * 2


def _last(m, x):
    before = 0 if m.last is None else 0 * m.last[0].mean()
    m.last = (x, x * 2)
    return x + before


def _cached(m, x):
    if tuple(x.shape) not in m.cache:
        m.cache[tuple(x.shape)] = {"ones": torch.ones_like(x)}
    return x * m.cache[tuple(x.shape)]["ones"]


def _lists(m, x):
    y = m.inner(x)
    m.seen.append(y)
    m.recent.append(x)
    m.inner.shown = y.abs()
    return y


def _parameter(m, x):
    m.inner._parameters["bias"] = m.inner.bias * 1.0
    return m.inner(x)


KEPT = [_average, _cached, _lists]  # what is kept changes no later output
USED = [_grow, _last, _parameter]  # it may


def _fakes(module):
    held = [list(vars(part).values()) for part in module.modules()]
    leaves = tree_leaves([[list(one) if isinstance(one, collections.deque) else one for one in own] for own in held])
    return [leaf for leaf in leaves if isinstance(leaf, FakeTensor)]


@pytest.mark.parametrize("step", KEPT)
def test_a_module_that_keeps_what_it_computed_still_works_after_it_was_read(step):
    module = Keeping(step)
    assert as_conv2d(module, SHAPE).status is Status.PROVED
    assert not _fakes(module)
    image = torch.rand(1, *SHAPE)
    out = module(image)
    assert type(out) is torch.Tensor
    out.tolist()


@pytest.mark.parametrize("step", USED)
def test_a_module_that_uses_what_it_kept_is_told_so_and_still_works(step):
    module = Keeping(step)
    with pytest.raises(InvalidInput, match="that keeps no values between calls, got one that uses what an earlier"):
        as_conv2d(module, SHAPE)
    assert not _fakes(module)
    module(torch.rand(1, *SHAPE)).tolist()


@pytest.mark.parametrize("delay", [1, 2, 3, 4, 8, 20])
def test_an_image_of_some_calls_before_is_not_taken_for_a_constant(delay):
    def mix(m, x):
        y = x + m.recent[0] / 2
        m.recent.append(x)
        return y

    module = Keeping(mix)
    module.recent = collections.deque([torch.zeros(1, *SHAPE)] * delay, maxlen=delay)
    with pytest.raises(InvalidInput, match="that keeps no values between calls, got one that uses what an earlier"):
        as_conv2d(module, SHAPE)


@pytest.mark.parametrize("step", KEPT)
def test_comparing_two_modules_leaves_them_as_they_were(step):
    module = Keeping(step)
    assert equal_maps(module, module, SHAPE).status is Status.PROVED
    assert not _fakes(module)


def test_a_hook_that_keeps_outputs_keeps_real_ones():
    features = []
    module = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 1))
    module.kept = []
    module[0].register_forward_hook(lambda layer, given, out: module.kept.append(out))
    module[1].register_forward_hook(lambda layer, given, out: features.append(out))
    assert as_conv2d(module, SHAPE).status is Status.PROVED
    assert {type(kept) for kept in module.kept + features} == {torch.Tensor}


def test_only_real_calls_are_counted():
    """What a module notes while it is read is no call that its user made."""

    def count(m, x):
        m.calls += 1
        m.seen.append(type(x) is torch.Tensor)
        return x

    module = Keeping(count)
    as_conv2d(module, SHAPE)
    assert module.calls == len(module.seen)
    assert all(module.seen)


def test_a_module_is_as_before_where_there_is_no_answer():
    def unreadable(m, x):
        m.last = x * 2
        return x * float(x.sum())

    module = Keeping(unreadable)
    as_conv2d(module, SHAPE)
    assert not _fakes(module)
    module.last.tolist()


def test_a_module_is_as_before_where_the_time_is_over():
    def slow_to_read(m, x):
        m.last = x * 2
        while isinstance(x, FakeTensor):
            time.sleep(0.01)
        return x

    module = Keeping(slow_to_read)
    with pytest.raises(InvalidInput, match=r"^as_conv2d: expected an operation that ends within 0.1 seconds"):
        as_conv2d(module, SHAPE, seconds=0.1)
    module.last.tolist()


_SEEN_GLOBALLY = None


def _global(x):
    global _SEEN_GLOBALLY
    y = x if _SEEN_GLOBALLY is None else x + 0 * _SEEN_GLOBALLY.mean()
    _SEEN_GLOBALLY = x
    return y


def _in_a_closure():
    last, seen = None, []

    def step(x):
        nonlocal last
        y = x if last is None else x + 0 * (last.mean() + seen[-1].mean())
        last = x
        seen.append(x)
        return y

    return step


class Own:
    def __init__(self) -> None:
        self.last = torch.zeros(1)

    def __call__(self, x):
        self.last, before = x, self.last
        return x + 0 * before.mean()


@pytest.mark.parametrize("op", [_global, _in_a_closure(), Own(), Own().__call__, functools.partial(_in_a_closure())])
def test_functions_and_objects_that_keep_what_they_saw_still_work(op):
    with pytest.raises(InvalidInput, match="that keeps no values between calls, got one that uses what an earlier"):
        as_conv2d(op, SHAPE)
    op(torch.rand(1, *SHAPE)).tolist()


@pytest.mark.parametrize("look", [lambda x: x, lambda x: x * float(x.sum() > -1)])
def test_a_fake_tensor_kept_out_of_sight_is_said_in_one_sentence(look):
    class Slotted:
        __slots__ = ("last",)

    slot = Slotted()
    slot.last = torch.zeros(1)

    def op(x):
        before, fake = slot.last, isinstance(x, FakeTensor)
        slot.last = x.mean() if fake else before
        return x + 0 * (look(before) if not fake else before)

    with pytest.raises(InvalidInput, match="that keeps no values between calls, got one that used what it kept") as it:
        as_conv2d(op, SHAPE)
    assert str(it.value).startswith("as_conv2d: expected ")


@pytest.mark.parametrize("batched", [True, False])
def test_another_result_with_gradients_enabled_is_not_proved(batched):
    verdict = as_conv2d(lambda x: x.flip(-1) if torch.is_grad_enabled() else x * 2, SHAPE, batched=batched)
    assert verdict.status is Status.UNDECIDED
    assert "with gradients enabled gave another result" in str(verdict)


def test_another_shape_with_gradients_enabled_is_not_proved():
    verdict = as_conv2d(lambda x: x[..., :3] if torch.is_grad_enabled() else x, SHAPE)
    assert verdict.status is Status.UNDECIDED


def test_maps_that_differ_with_gradients_enabled_are_not_called_equal():
    verdict = equal_maps(lambda x: x * 3 if torch.is_grad_enabled() else x * 2, lambda x: x * 2, SHAPE)
    assert verdict.status is Status.UNDECIDED


def test_an_operation_that_cannot_run_with_gradients_enabled_is_still_read():
    weight = nn.Parameter(torch.full((1,), 2.0))

    def op(x):
        y = x * weight
        if not isinstance(y, FakeTensor):
            y.numpy()  # raises where y has a gradient
        return y

    assert as_conv2d(op, SHAPE).status is Status.PROVED


def test_a_call_with_gradients_leaves_no_history_behind():
    module = Keeping(_lists)
    as_conv2d(module, SHAPE)
    assert not any(kept.requires_grad for kept in [*module.seen, *module.recent, module.inner.shown])
