"""All that a network holds is kept and comes back, also what `state_dict` copies or leaves out."""

from __future__ import annotations

import re

import pytest
import torch
from tests.training.cases import EVERY, RECIPES, Stop, figures, plain_net, start, stopping_at, tiny_data, tiny_net
from torch import nn

from mathdnn.errors import InvalidInput, RunError
from mathdnn.training import Recipe, load_run, train
from mathdnn.training.checks import structure_digest

RECIPE = RECIPES["sgd"]


def copying(net):
    """Its `state_dict` gives copies, as where weights are gathered, renamed or converted on the way out."""
    net.register_state_dict_post_hook(lambda module, state, *_: state.update({k: t.clone() for k, t in state.items()}))
    return net


def empty(net):
    net.register_state_dict_post_hook(lambda module, state, *_: state.clear())
    return net


class Moving(nn.Module):
    """Takes away a running mean that it does not save, and counts its calls in a buffer that is None at first."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(1), persistent=False)
        self.register_buffer("calls", None)

    def forward(self, x):
        if self.training:
            self.calls = torch.zeros((), dtype=torch.int64) if self.calls is None else self.calls + 1
            self.mean.lerp_(x.detach().mean(), 0.3)
            x = x * (1 + self.calls % 3)
        return x - self.mean


class Extra(nn.Module):
    """Counts its calls where only its extra state tells."""

    def __init__(self):
        super().__init__()
        self.calls = [0.0]

    def forward(self, x):
        self.calls += [self.calls[-1] + 1] if self.training else []
        return x / (1 + self.calls[-1] % 3)

    def get_extra_state(self):
        return torch.tensor(self.calls)

    def set_extra_state(self, state):
        self.calls = state.tolist()


class Masked(nn.Module):
    """Constants of infinities that are not saved, as masks of attention are."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.full((6, 6), -torch.inf).triu(1), persistent=False)

    def forward(self, x):
        return (x + self.mask).softmax(-1)


NETS = {
    "copies": (lambda seed: copying(tiny_net(seed)), "torch"),
    "copies, compiled": (lambda seed: copying(plain_net(seed)), "native"),
    "an empty state_dict": (lambda seed: empty(tiny_net(seed)), "torch"),
    "an empty state_dict, compiled": (lambda seed: empty(plain_net(seed)), "native"),
    "moving buffers": (lambda seed: nn.Sequential(Moving(), *tiny_net(seed)), "torch"),
    "infinite constants": (lambda seed: nn.Sequential(Masked(), *tiny_net(seed)), "torch"),
    "extra state": (lambda seed: nn.Sequential(Extra(), *tiny_net(seed)), "torch"),
}


def numbers(model):
    """Every number the network holds, by name, read from the modules themselves."""
    found = {name: t.detach().clone() for name, t in [*model.named_parameters(), *model.named_buffers()]}
    return found | {str(i): torch.tensor(m.calls) for i, m in enumerate(model) if isinstance(m, Extra)}


def require_same(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("step", [1, 4, 5, 8])
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(name, step, tmp_path):
    make, engine = NETS[name]
    whole, again = make(0), make(9)
    expected = figures(train(whole, tiny_data(), RECIPE, seed=4, **EVERY))
    with pytest.raises(Stop, match=r"^$"):
        train(make(0), tiny_data(), RECIPE, seed=4, run=tmp_path, progress=stopping_at(step), **EVERY)
    run = train(again, tiny_data(), RECIPE, seed=4, run=tmp_path, resume=True)
    assert run.engine == engine
    assert figures(run) == expected
    require_same(numbers(again), numbers(whole))
    require_same(numbers(load_run(tmp_path).into(make(5))), numbers(whole))


def test_what_no_checkpoint_can_hold_is_refused_before_anything_is_written(tmp_path):
    class Words(Extra):
        def get_extra_state(self):
            return {"calls": self.calls}

    class OneWay(nn.Tanh):
        def get_extra_state(self):
            return torch.zeros(1)

    def buffered(tensor):
        net = tiny_net()
        net.register_buffer("more", tensor)
        return net

    state = "train(model): expected a state of tensors, got 0._extra_state: "
    keep = "; keep it in a buffer, or as one tensor that set_extra_state takes."
    refused = {
        state + "dict" + keep: nn.Sequential(Words(), *tiny_net()),
        state + "Tensor and no set_extra_state" + keep: nn.Sequential(OneWay(), *tiny_net()),
        "train(run=...): expected tensors of types that a checkpoint holds, got more of torch.complex128; "
        "keep it in another type, or train without run=.": buffered(torch.zeros(2, dtype=torch.complex128)),
        "train(model): expected parameters and buffers that are dense, got more of torch.float32 in the layout "
        "torch.sparse_coo; make it dense.": buffered(torch.eye(2).to_sparse()),
    }
    for said, net in refused.items():
        with pytest.raises(InvalidInput, match=f"^{re.escape(said)}$"):
            train(net, tiny_data(), RECIPE, run=tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert train(buffered(torch.zeros(2, dtype=torch.complex128)), tiny_data(), RECIPE).finished


TYPES = [torch.bool, torch.complex64, torch.float8_e4m3fn, torch.float8_e5m2, torch.uint16, torch.bfloat16, torch.int8]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_buffers_of_any_type_that_a_checkpoint_holds_come_back(dtype, tmp_path):
    def net(value):
        made = tiny_net()
        made.register_buffer("kept", torch.full((3,), value).to(dtype))
        made.register_buffer("constant", torch.ones(2).to(dtype), persistent=False)
        return made

    with pytest.raises(Stop, match=r"^$"):
        train(net(1), tiny_data(), RECIPE, run=tmp_path, progress=stopping_at(3), **EVERY)
    model = net(0)
    train(model, tiny_data(), RECIPE, run=tmp_path, resume=True)
    assert torch.equal(model.kept.view(torch.uint8), net(1).kept.view(torch.uint8))


@pytest.mark.parametrize("recipe", ["plain", "adamw"])
def test_a_layer_that_was_frozen_or_freed_on_the_way_is_refused(recipe, tmp_path):
    start(tmp_path, 3, RECIPES[recipe])
    model = tiny_net()
    model[0].weight.requires_grad_(False)
    words = (
        f"train(run={tmp_path}): expected the frozen parameters the run began with, (), got ('0.weight',); "
        "resume with the same frozen parameters, or train in a new folder."
    )
    with pytest.raises(RunError, match=f"^{re.escape(words)}$"):
        train(model, tiny_data(), RECIPES[recipe], seed=4, run=tmp_path, resume=True)
    assert train(tiny_net(), tiny_data(), RECIPES[recipe], seed=4, run=tmp_path, resume=True).frozen == ()


def test_a_run_with_frozen_layers_goes_on_and_its_weights_suit_any_copy(tmp_path):
    def net():
        made = tiny_net()
        made[0].requires_grad_(False)
        return made

    expected = figures(train(net(), tiny_data(), RECIPE))
    with pytest.raises(Stop, match=r"^$"):
        train(net(), tiny_data(), RECIPE, run=tmp_path, progress=stopping_at(3), **EVERY)
    run = train(net(), tiny_data(), RECIPE, run=tmp_path, resume=True)
    assert figures(run) == expected
    assert run.frozen == ("0.bias", "0.weight")
    load_run(tmp_path).into(tiny_net())


# What a report does to the network


def swap_types(model):
    model.half().float()


def swap_vector(model):
    nn.utils.vector_to_parameters(torch.zeros(sum(p.numel() for p in model.parameters())), model.parameters())


def swap_parameters(model):
    for module in model.modules():
        for key in list(module._parameters):
            setattr(module, key, nn.Parameter(torch.zeros_like(getattr(module, key))))


def swap_data(model):
    for parameter in model.parameters():
        parameter.data = torch.zeros_like(parameter)


def swap_module(model):
    model[0] = nn.Conv2d(1, 4, 3)


def freeze(model):
    model.requires_grad_(False)


def double(model):
    model.double()


def register(model):
    model.register_buffer("more", torch.zeros(3))
    model[0].bias = None


SWAPS = [swap_types, swap_vector, swap_parameters, swap_data, swap_module, freeze, double, register]


@pytest.mark.parametrize("swap", SWAPS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(("make", "engine"), [(tiny_net, "torch"), (plain_net, "torch"), (plain_net, "native")])
def test_what_a_report_puts_in_the_place_of_weights_is_undone(swap, make, engine):
    expected, model = make(), make()
    figures_of = figures(train(expected, tiny_data(), RECIPE, engine=engine))
    before = dict(model.named_parameters())
    run = train(model, tiny_data(), RECIPE, engine=engine, progress=lambda _: swap(model), report_steps=1)
    assert figures(run) == figures_of
    require_same(numbers(model), numbers(expected))
    assert all(parameter is before[name] for name, parameter in model.named_parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_what_a_report_moves_in_buffers_and_extra_state_is_undone():
    def net():
        return nn.Sequential(Moving(), Extra(), *tiny_net())

    expected, model = net(), net()
    figures_of = figures(train(expected, tiny_data(), RECIPE))
    x = torch.ones(4, 1, 6, 6)
    run = train(model, tiny_data(), RECIPE, progress=lambda _: model.train()(x), report_steps=1)
    assert figures(run) == figures_of
    require_same(numbers(model), numbers(expected))


def test_the_structure_of_a_network_does_not_hang_on_its_state_dict():
    assert structure_digest(copying(tiny_net())) == structure_digest(empty(tiny_net())) == structure_digest(tiny_net())
    assert train(empty(plain_net()), tiny_data(), Recipe(epochs=1)).finished


@pytest.mark.parametrize("step", [2, 5, 9])
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is")
def test_a_scripted_network_goes_on_to_the_same_bits(step, tmp_path):
    def net(seed):
        return torch.jit.script(tiny_net(seed))

    whole, again = net(0), net(9)
    expected = figures(train(whole, tiny_data(), RECIPE, seed=4))
    assert expected == figures(train(tiny_net(0), tiny_data(), RECIPE, seed=4))
    with pytest.raises(Stop, match=r"^$"):
        train(net(0), tiny_data(), RECIPE, seed=4, run=tmp_path, progress=stopping_at(step), **EVERY)
    assert figures(train(again, tiny_data(), RECIPE, seed=4, run=tmp_path, resume=True)) == expected
    require_same(numbers(again), numbers(whole))


def test_a_number_that_stands_for_many_comes_back(tmp_path):
    def net(value):
        made = tiny_net()
        made.register_buffer("same", torch.full((1,), value).expand(4))
        made[0].bias = nn.Parameter(torch.full((1,), value).expand(4), requires_grad=False)
        return made

    expected, again = net(0.25), net(0.5)
    train(expected, tiny_data(), RECIPE)
    with pytest.raises(Stop, match=r"^$"):
        train(net(0.25), tiny_data(), RECIPE, run=tmp_path, progress=stopping_at(3), **EVERY)
    train(again, tiny_data(), RECIPE, run=tmp_path, resume=True)
    require_same(numbers(again), numbers(expected))


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_a_layer_of_one_weight_is_kept(engine, tmp_path):
    """Cut out of a larger tensor, a single number is contiguous whatever the step to the next one."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 1), nn.Linear(1, 1), nn.Linear(1, 3))
    net[2].weight = nn.Parameter(torch.full((4, 16), 0.5).T[3:4, 1:2])
    run = train(net, tiny_data(), RECIPES["sgd"], engine=engine, run=tmp_path, progress=print, report_steps=1)
    assert load_run(tmp_path).record == run
    assert all(torch.equal(load_run(tmp_path).weights[name], tensor) for name, tensor in net.state_dict().items())
