"""However a run is left, the module holds the weights of the last step, on either engine."""

from __future__ import annotations

import signal

import pytest
from tests.training.cases import Stop, plain_net, tiny_data

from mathdnn.errors import Diverged
from mathdnn.training import Recipe, train

ENGINES = ("native", "torch")
RECIPE = Recipe(epochs=2, batch_size=16, lr=0.1)


def interrupt():
    signal.raise_signal(signal.SIGINT)


def stop():
    raise Stop


def after(step, leave, engine="native"):
    """The network as it is where `leave` was called in the report of that step."""
    model = plain_net()

    def progress(event):
        if event.step == step:
            leave()

    with pytest.raises((KeyboardInterrupt, Stop), match=r"^(train\(\) stopped after step|$)"):
        train(model, tiny_data(), RECIPE, engine=engine, progress=progress, report_steps=1)
    return model


def distance(one, two):
    return max(float((a - b).detach().abs().max()) for a, b in zip(one.parameters(), two.parameters(), strict=True))


@pytest.mark.parametrize("leave", [interrupt, stop])
@pytest.mark.parametrize("step", [2, 7])
def test_a_run_that_is_stopped_leaves_the_weights_of_its_last_step(step, leave):
    ours, theirs = (after(step, leave, engine) for engine in ENGINES)
    assert distance(ours, theirs) < 1e-6
    assert distance(ours, after(step - 1, stop, "torch")) > 1e-3


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_that_diverges_leaves_the_weights_that_ran_away(engine):
    model = plain_net()
    with pytest.raises(Diverged, match=r"^train\(\): expected a mean loss below"):
        train(model, tiny_data(), Recipe(lr=30.0, batch_size=16), engine=engine)
    assert distance(model, plain_net()) > 1


@pytest.mark.parametrize("engine", ENGINES)
def test_no_gradient_is_left_behind_by_a_run_that_was_stopped(engine):
    assert all(parameter.grad is None for parameter in after(3, stop, engine).parameters())


@pytest.mark.parametrize("engine", ENGINES)
def test_an_interrupt_at_the_end_of_an_epoch_reports_no_step_that_was_not_made(engine):
    seen = []

    def progress(event):
        seen.append(event)
        if event.done:
            interrupt()

    with pytest.raises(KeyboardInterrupt, match=r"^train\(\) stopped after step 0 of epoch 2"):
        train(plain_net(), tiny_data(), RECIPE, engine=engine, progress=progress)
    assert [event.epoch for event in seen if event.done] == [1]
    assert seen[-1].done
