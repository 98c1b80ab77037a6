"""The loop: the weights of the textbook's loop, the same bits for the same seed, and a stop where numbers run away."""

from __future__ import annotations

import copy
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.oracles.training import literal_training
from tests.saboteurs import training as saboteurs
from tests.training.cases import figures, plain_net, tiny_data, tiny_net
from torch import nn

from mathdnn.errors import Diverged, InvalidInput
from mathdnn.lenet import ConnectionTable, TableConv2d
from mathdnn.training import Recipe, evaluate, initialise, plan_engine, predict, scores, train
from mathdnn.training.batches import epoch_order, pixel_table
from mathdnn.training.checks import structure_digest
from mathdnn.training.images import move

SHORT = {"epochs": 3, "batch_size": 16}
VARIANTS = [
    Recipe(**SHORT),
    Recipe(**SHORT, momentum=0.9, weight_decay=0.01),
    Recipe(**SHORT, momentum=0.9, nesterov=True, weight_decay=5e-4, schedule="one_cycle", pixels="standardised"),
    Recipe(**SHORT, optimizer="adamw", lr=0.003, weight_decay=0.1, schedule="one_cycle"),
    Recipe(**SHORT, loss="squared", lr=0.01, pixels="lecun1998"),
    Recipe(epochs=2, batch_size=1000),
    Recipe(epochs=1, batch_size=1),
]


def literal_twin(model, data, recipe, run, orders):
    images = torch.from_numpy(pixel_table(run.scale)[data.train.images][:, None])
    labels = torch.from_numpy(data.train.labels.astype(np.int64))
    return literal_training(
        model, images, labels, orders, batch=recipe.batch_size, lr=recipe.lr, optimizer=recipe.optimizer,
        momentum=recipe.momentum, nesterov=recipe.nesterov, weight_decay=recipe.weight_decay,
        one_cycle=recipe.schedule == "one_cycle", loss=recipe.loss,
    )  # fmt: skip


def largest_difference(one, two):
    return max(float((a - b).detach().abs().max()) for a, b in zip(one.parameters(), two.parameters(), strict=True))


@pytest.mark.parametrize("recipe", VARIANTS, ids=lambda r: f"{r.optimizer}-{r.schedule}-{r.loss}-{r.batch_size}")
def test_the_weights_are_those_of_the_literal_loop(recipe):
    data, model, twin = tiny_data(), plain_net(), plain_net()
    run = train(model, data, recipe, seed=5, engine="torch")
    orders = [epoch_order(5, epoch, 70) for epoch in range(recipe.epochs)]
    curve = literal_twin(twin, data, recipe, run, orders)
    assert largest_difference(model, twin) < 2e-6  # a few roundings a step, of weights below 1
    np.testing.assert_allclose([epoch.train_loss for epoch in run.curve], curve, rtol=1e-5)


def test_plain_sgd_gives_the_bits_of_the_literal_loop():
    data, model, twin = tiny_data(), plain_net(), plain_net()
    run = train(model, data, VARIANTS[0], seed=5, engine="torch")
    literal_twin(twin, data, VARIANTS[0], run, [epoch_order(5, epoch, 70) for epoch in range(3)])
    assert largest_difference(model, twin) == 0


def test_a_loop_that_drops_the_last_batch_or_keeps_one_order_is_caught():
    data, model = tiny_data(), plain_net()
    run = train(model, data, VARIANTS[0], seed=5, engine="torch")
    right = [epoch_order(5, epoch, 70) for epoch in range(3)]
    for orders in (
        [saboteurs.drop_the_last_batch(order, 16) for order in right],
        [saboteurs.same_order_every_epoch(5, epoch, 70) for epoch in range(3)],
    ):
        twin = plain_net()
        literal_twin(twin, data, VARIANTS[0], run, orders)
        assert largest_difference(model, twin) > 1e-4


def test_the_same_seed_gives_the_same_bits_and_reports_change_nothing():
    recipe = Recipe(epochs=2, batch_size=16, shift=1, momentum=0.5)
    one = train(tiny_net(), tiny_data(), recipe, seed=1)
    two = train(tiny_net(), tiny_data(), recipe, seed=1, report_steps=1, progress=lambda event: torch.rand(3))
    assert figures(one) == figures(two)
    assert figures(one) != figures(train(tiny_net(), tiny_data(), recipe, seed=2))


def test_the_callers_generators_are_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    train(initialise(tiny_net(), 3), tiny_data(), Recipe(epochs=1))
    assert torch.equal(torch.rand(2), expected)


def test_initialise_draws_from_the_seed_alone():
    one, two, other = (initialise(tiny_net(k), seed) for k, seed in ((0, 7), (1, 7), (0, 8)))
    assert largest_difference(one, two) == 0
    assert largest_difference(one, other) > 0


def test_events_tell_how_far_the_run_is():
    seen = []
    run = train(plain_net(), tiny_data(), Recipe(epochs=2, batch_size=16), progress=seen.append, report_steps=2)
    assert [(e.epoch, e.step, e.done is not None) for e in seen] == [
        (1, 2, False), (1, 4, False), (1, 5, False), (1, 5, True),
        (2, 7, False), (2, 9, False), (2, 10, False), (2, 10, True),
    ]  # fmt: skip
    assert [e.done for e in seen if e.done] == list(run.curve)
    assert seen[-1].fraction == 1


def test_evaluation_gives_the_true_mean():
    data, model = tiny_data(n=2 * 1001), plain_net()  # the last batch of evaluation is one image
    metrics = evaluate(model, data.test)
    with torch.no_grad():
        score = model(torch.from_numpy(data.test.images / np.float32(255))[:, None])
        losses = nn.functional.cross_entropy(
            score, torch.from_numpy(data.test.labels.astype(np.int64)), reduction="none"
        )
    right = int((score.argmax(1).numpy() == data.test.labels).sum())
    assert metrics.loss == pytest.approx(float(losses.double().mean()), rel=1e-6)
    assert (metrics.right, metrics.n, metrics.accuracy) == (right, 1001, right / 1001)
    for saboteur in (saboteurs.mean_of_batch_means, saboteurs.mean_of_batch_means_over_n):
        assert metrics.loss != pytest.approx(float(saboteur(losses.double(), 1000)), rel=1e-6)
    np.testing.assert_array_equal(predict(model, data.test.images), score.argmax(1).numpy())
    np.testing.assert_allclose(scores(model, data.test.images), score.numpy(), atol=1e-6)


def test_the_curve_ends_in_the_final_figures():
    data, model = tiny_data(), tiny_net()
    recipe = Recipe(epochs=2, pixels="standardised")
    run = train(model, data, recipe)
    assert run.metrics == evaluate(model, data.test, recipe, scale=run.scale)
    assert (run.curve[-1].test_loss, run.curve[-1].test_accuracy) == (run.metrics.loss, run.metrics.accuracy)


def test_standardised_pixels_need_the_constants_of_training():
    with pytest.raises(
        InvalidInput, match=r"^evaluate\(scale=...\): expected the scale of the training split, got none; p"
    ):
        evaluate(plain_net(), tiny_data().test, Recipe(pixels="standardised"))


def literal_move(pixels, shifts, reach):
    out = torch.zeros_like(pixels)
    b, h, w = pixels.shape
    for i in range(b):
        for r in range(h):
            for c in range(w):
                down, right = shifts[i].tolist()
                if 0 <= r - down < h and 0 <= c - right < w:
                    out[i, r, c] = pixels[i, r - down, c - right]
    return out


def test_shifts_move_each_image_by_its_own_and_fill_the_border(rng):
    pixels = torch.from_numpy(rng.integers(1, 256, (25, 4, 5)).astype(np.uint8))
    shifts = torch.tensor([[d, r] for d in range(-2, 3) for r in range(-2, 3)])
    expected = literal_move(pixels, shifts, 2)
    assert torch.equal(move(pixels, shifts, 2), expected)
    assert not torch.equal(saboteurs.move_the_other_way(pixels, shifts, 2), expected)
    assert not torch.equal(saboteurs.move_around(pixels, shifts, 2), expected)


def test_floating_images_train_like_their_pixels():
    data = tiny_data()
    images = [split.images.astype(np.float64) / 255 for split in (data.train, data.test)]
    floats = SimpleNamespace(
        train=SimpleNamespace(images=images[0], labels=data.train.labels),
        test=SimpleNamespace(images=images[1], labels=data.test.labels),
    )
    recipe = Recipe(epochs=1, pixels="standardised", shift=1)
    one, two = train(plain_net(), data, recipe), train(plain_net(), floats, recipe)
    assert one.metrics.loss == pytest.approx(two.metrics.loss, rel=1e-4)
    assert one.data_digest != two.data_digest


@pytest.mark.parametrize("lr", [30.0, 1e30])
def test_a_step_too_large_is_stopped_and_said_so(lr):
    with pytest.raises(Diverged, match=r": expected .*; ") as caught:
        train(plain_net(), tiny_data(), Recipe(lr=lr, batch_size=4))
    assert " by step " in str(caught.value)
    assert str(caught.value).endswith(
        f"of epoch 1 with lr {lr:g}; train with a smaller lr, or with smaller initial weights."
    )


def test_what_reports_see_does_not_change_where_divergence_is_noticed():
    said = set()
    for report_steps in (1, 3, 50):
        with pytest.raises(
            Diverged, match=r"expected a mean loss below 11.25, 10 times the one to begin with"
        ) as caught:
            train(plain_net(), tiny_data(), Recipe(lr=30.0, batch_size=16), report_steps=report_steps)
        said.add(str(caught.value))
    assert len(said) == 1


def test_a_runaway_is_noticed_within_an_epoch_whatever_the_reports():
    said = set()
    for report_steps in (1, 70, 1000):
        with pytest.raises(Diverged, match=r"by step 100 of epoch 1 with lr 30; train with a smaller lr") as caught:
            train(plain_net(), tiny_data(n=250), Recipe(lr=30.0, batch_size=1), report_steps=report_steps)
        said.add(str(caught.value))
    assert len(said) == 1


def test_weights_that_are_good_already_may_get_worse_for_a_while():
    model, recipe = plain_net(), Recipe(epochs=20, batch_size=16)
    train(model, tiny_data(), recipe)
    assert train(model, tiny_data(), recipe).loss_limit == pytest.approx(10 * np.log(3), rel=1e-6)


def test_training_trains_and_evaluation_restores_the_mode_of_each_module():
    recipe, one, two = Recipe(epochs=1), tiny_net(), tiny_net().eval()
    assert figures(train(one, tiny_data(), recipe)) == figures(train(two, tiny_data(), recipe))
    one.train()
    one[1].eval()
    evaluate(one, tiny_data().test)
    assert [module.training for module in one] == [True, False, True, True, True, True]


def test_a_network_is_known_by_its_structure_not_by_its_weights():
    class Scaled(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.register_buffer("factor", torch.tensor(factor), persistent=False)

    trained = tiny_net(1)
    train(trained, tiny_data(), Recipe(epochs=1))
    assert structure_digest(trained) == structure_digest(tiny_net())
    tables = [ConnectionTable.random(4, 4, 2, seed) for seed in (0, 1)]
    others = [plain_net(), Scaled(1.0), Scaled(2.0), *(TableConv2d(table, 3) for table in tables)]
    assert len({structure_digest(model) for model in [trained, *others]}) == 6


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (nn.AvgPool2d(2), nn.AvgPool2d(2, divisor_override=1)),
        (nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
        (nn.AvgPool2d(2), nn.AvgPool2d(2, ceil_mode=True)),
        (
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
        ),
        (nn.MultiheadAttention(8, 2), nn.MultiheadAttention(8, 4)),
        (nn.TransformerEncoderLayer(8, 2), nn.TransformerEncoderLayer(8, 2, activation="gelu")),
    ],
)
def test_settings_that_torch_does_not_print_make_another_network(one, other):
    assert structure_digest(one) == structure_digest(copy.deepcopy(one).eval())
    assert structure_digest(one) != structure_digest(other)


def test_the_processor_by_its_number_is_the_processor():
    assert plan_engine(plain_net(), Recipe(), device="cpu:0").engine == "native"
    assert plan_engine(plain_net(), Recipe(), device="cuda:0").engine == "torch"


def test_the_plan_says_which_engine_and_why():
    assert str(plan_engine(plain_net(), Recipe(), "torch")) == "torch: asked for"
    plan = plan_engine(tiny_net(), Recipe(), "auto")  # batch norm and dropout
    assert plan.engine == "torch"
    assert plan.reason
    with pytest.raises(
        InvalidInput, match=r"^train\(engine='native'\): expected a model that the native engine can train"
    ):
        plan_engine(tiny_net(), Recipe(), "native")


def test_an_interrupt_stops_between_two_steps_and_says_where():
    model, seen, before = plain_net(), [], signal.getsignal(signal.SIGINT)

    def stop(event):
        assert event.step <= 7, "no step is begun after the interrupt"
        if event.step == 7:
            seen.append(event)
            assert len(seen) == 1, "no report is made after the interrupt"
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match=r"^train\(\) stopped") as caught:
        train(model, tiny_data(), Recipe(epochs=3, batch_size=16), progress=stop, report_steps=1)
    assert str(caught.value) == "train() stopped after step 2 of epoch 2; the model holds the weights of that step."
    assert signal.getsignal(signal.SIGINT) is before
    assert copy.deepcopy(model)[0].weight.isfinite().all()


def test_an_interrupt_in_the_last_moment_is_not_lost():
    def stop(event):
        if event.fraction == 1 and event.done:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match=r"^train\(\) had just finished.$"):
        train(plain_net(), tiny_data(), Recipe(epochs=1), progress=stop)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_repeats_its_bits_and_agrees_with_the_cpu():
    recipe = Recipe(epochs=2, batch_size=16, shift=1)
    runs = [train(plain_net(), tiny_data(), recipe, device="cuda") for _ in range(2)]
    assert figures(runs[0]) == figures(runs[1])
    cpu = train(plain_net(), tiny_data(), recipe)
    assert runs[0].metrics.loss == pytest.approx(cpu.metrics.loss, rel=1e-3)
