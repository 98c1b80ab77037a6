"""What the caller says, sees and has set is kept alike on either engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.cases import figures, plain_net, tiny_data
from torch import nn

from mathdnn.errors import InvalidInput
from mathdnn.training import Recipe, evaluate, load_run, train

ENGINES = ("native", "torch")
RECIPE = Recipe(epochs=2, batch_size=16, lr=0.1)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_report_finds_the_weights_of_its_step_in_the_model(engine):
    model, data, seen = plain_net(), tiny_data(), []

    def look(event):
        seen.append((event.done, evaluate(model, data.test)))

    run = train(model, data, RECIPE, engine=engine, progress=look, report_steps=1)
    losses = [metrics.loss for _, metrics in seen]
    assert len({loss for (done, _), loss in zip(seen, losses, strict=True) if done is None}) == 10
    for done, metrics in seen:
        if done is not None:
            assert metrics.loss == pytest.approx(done.test_loss, rel=1e-6)
    assert losses[-1] == pytest.approx(run.metrics.loss, rel=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_report_writes_into_the_weights_is_undone(engine):
    def spoil(event):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()

    expected = figures(train(plain_net(), tiny_data(), RECIPE, engine=engine))
    model = plain_net()
    run = train(model, tiny_data(), RECIPE, engine=engine, progress=spoil, report_steps=1)
    assert figures(run) == expected
    assert evaluate(model, tiny_data().test).right == run.metrics.right
    assert all(parameter.abs().max() > 0 for parameter in model.parameters())


@pytest.mark.parametrize("engine", ENGINES)
def test_each_module_is_in_the_mode_it_was_in(engine):
    model, during = plain_net().eval(), []
    model[1].train()
    train(model, tiny_data(), RECIPE, engine=engine, progress=lambda event: during.append(model[0].training))
    assert [module.training for module in model] == [False, True, False, False]
    assert all(during)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_caller_without_gradients_trains_all_the_same(engine):
    expected = figures(train(plain_net(), tiny_data(), RECIPE, engine=engine))
    with torch.no_grad():
        assert figures(train(plain_net(), tiny_data(), RECIPE, engine=engine)) == expected


UNREADABLE = [
    ({"try": 3}, "train(about=...): expected strings by strings, got 3 in it; turn it into a str."),
    ({3: "try"}, "train(about=...): expected strings by strings, got 3 in it; turn it into a str."),
    ({"p": Path("x")}, f"train(about=...): expected strings by strings, got {Path('x')!r} in it; turn it into a str."),
    ({"p": "\udcff"}, "train(about=...): expected text, got '\\udcff' with half a character; leave that out."),
    ("note", "train(about=...): expected strings by strings, got a str; pass a dict."),
]


@pytest.mark.parametrize(("about", "expected"), UNREADABLE, ids=["value", "key", "path", "surrogate", "no mapping"])
def test_what_a_record_could_not_be_read_with_is_refused_before_the_run(tmp_path, about, expected):
    with pytest.raises(InvalidInput, match=r": expected .*; ") as caught:
        train(plain_net(), tiny_data(), RECIPE, run=tmp_path / "run", about=about)
    assert str(caught.value) == expected
    assert not (tmp_path / "run").exists()


def test_about_may_hold_strings_of_a_kind_of_their_own(tmp_path):
    train(plain_net(), tiny_data(), RECIPE, run=tmp_path / "run", about={"network": np.str_("plain")})
    assert load_run(tmp_path / "run").record.about == {"network": "plain"}


def test_a_name_of_data_that_is_no_text_can_be_read_again(tmp_path):
    data = tiny_data()
    data.name = "d\udcff"
    run = train(plain_net(), data, RECIPE, run=tmp_path / "run")
    assert run.data == "d\\udcff"
    assert load_run(tmp_path / "run").record == run


def test_a_run_that_is_nowhere_is_not_resumed():
    with pytest.raises(InvalidInput, match=r": expected .*; ") as caught:
        train(plain_net(), tiny_data(), RECIPE, resume=True)
    assert str(caught.value) == (
        "train(resume=True): expected a run to go on with, got none; pass run=, the folder of the run."
    )


class Float(nn.Module):
    def forward(self, x):
        return x.float()


class Within(nn.Sequential):
    """An autocast block around each forward pass, as torch recommends."""

    def forward(self, x):
        with torch.autocast("cpu"):
            return super().forward(x)


@pytest.mark.parametrize("looks", [False, True])
def test_an_autocast_block_around_a_whole_run_trains_as_one_around_each_pass(looks):
    def look(event):
        evaluate(around, tiny_data().test)

    around, each = (kind(*plain_net(), Float()) for kind in (nn.Sequential, Within))
    expected = train(each, tiny_data(), RECIPE)
    with torch.autocast("cpu"):
        run = train(around, tiny_data(), RECIPE, progress=look if looks else None, report_steps=1)
        assert evaluate(around, tiny_data().test) == expected.metrics
    assert run.curve[-1].train_loss == expected.curve[-1].train_loss
    assert all(torch.equal(a, b) for a, b in zip(around.parameters(), each.parameters(), strict=True))
