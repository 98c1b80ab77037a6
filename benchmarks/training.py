"""LeNet-5: an epoch of training and 10,000 images of inference, side by side with what a user could take instead.

    python benchmarks/training.py [--rounds 9] [--threads 2] [--out benchmarks/training.json]

Batches of 100, plain SGD with steps of 0.1, float32, images of MNIST. Each arm does a part of an epoch and is scaled to
600 steps. The arms run interleaved after a warm-up, and a ratio is the median of those within a round. The peers, all
PyTorch eager: the published solution's C3 of 16 convolutions, a masked dense C3, full connections. For inference also
onnxruntime, on the equal network with a dense C3. What the machine can do at most, `mathdnn bench` measures.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mathdnn.data import load_mnist
from mathdnn.lenet import ConnectionTable, LeNet5
from mathdnn.native.engine import NativeEngine, Pictures
from mathdnn.native.network import plan_network
from mathdnn.study import interleaved_timing, machine, versions
from mathdnn.training.native_layers import native_layers
from mathdnn.training.native_scoring import load

Arm = Callable[[], object]
TABLE = (np.arange(256) / 255).astype(np.float32)
STEPS = {"native": 100, "torch": 12}


class Sixteen(nn.Module):
    """C3 as the published solution writes it: a convolution for each output map, then one stack."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = ConnectionTable.lenet().maps
        self.each = nn.ModuleList(nn.Conv2d(len(inputs), 1, 5) for inputs in self.maps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([c(x[:, list(m)]) for c, m in zip(self.each, self.maps, strict=True)], 1)


class Masked(nn.Conv2d):
    """C3 as one dense convolution whose weights off the table are multiplied by zero."""

    def __init__(self) -> None:
        super().__init__(6, 16, 5)
        mask = torch.zeros(16, 6, 1, 1)
        for out, inputs in enumerate(ConnectionTable.lenet().maps):
            mask[out, list(inputs)] = 1
        self.register_buffer("mask", mask)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(x, self.weight * self.mask, self.bias)


def network(c3: nn.Module) -> nn.Sequential:
    model = nn.Sequential(*LeNet5("full"))
    model[4] = c3
    return model


def native_engine(c3: str, threads: int) -> NativeEngine:
    torch.manual_seed(0)
    layers, parameters = native_layers(LeNet5(c3))
    engine = NativeEngine(plan_network(layers, (1, 28, 28)), threads=threads)
    load(engine, parameters)
    return engine


def native_steps(engine: NativeEngine, seen: Pictures, order: np.ndarray) -> Arm:
    return lambda: engine.train(seen, order, 100, [0.1] * STEPS["native"])


def torch_steps(model: nn.Module, seen: Pictures, order: np.ndarray) -> Arm:
    """The bare loop on tensors in memory: no data loader, no host transfers."""
    images, labels = torch.from_numpy(seen.images).float().div(255), torch.from_numpy(seen.labels).long()
    index = torch.from_numpy(order)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def run() -> None:
        for step in range(STEPS["torch"]):
            batch = index[100 * step : 100 * step + 100]
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()

    return run


def onnx_session(model: nn.Module, images: np.ndarray, threads: int) -> Arm | None:
    try:
        import onnxruntime
    except ImportError:
        return None
    file = io.BytesIO()
    names = {"input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}}
    torch.onnx.export(model, torch.zeros(2, 1, 28, 28), file, dynamo=False, **names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    x = images.astype(np.float32) / np.float32(255)
    pieces = [x[i : i + 1000] for i in range(0, len(x), 1000)]
    return lambda: [session.run(None, {"x": piece}) for piece in pieces]


def training(seen: Pictures, threads: int) -> dict[str, Arm]:
    order = np.random.default_rng(0).permutation(len(seen.images))
    torch.manual_seed(0)
    arms = {f"native {c3}": native_steps(native_engine(c3, threads), seen, order) for c3 in ("table", "full")}
    arms["torch 16 convolutions"] = torch_steps(network(Sixteen()), seen, order)
    arms["torch masked dense"] = torch_steps(network(Masked()), seen, order)
    arms["torch full"] = torch_steps(LeNet5("full"), seen, order)
    return arms


def inference(seen: Pictures, threads: int) -> dict[str, Arm]:
    engine, model = native_engine("table", threads), network(Masked()).eval()
    bare = Pictures(seen.images, TABLE)
    x = torch.from_numpy(seen.images).float().div(255)

    def eager() -> None:
        with torch.no_grad():
            for start in range(0, len(x), 1000):
                model(x[start : start + 1000])

    arms: dict[str, Arm] = {"native table": lambda: engine.outputs(bare), "torch masked dense": eager}
    session = onnx_session(model, seen.images, threads)
    return arms if session is None else {**arms, "onnxruntime dense": session}


def summary(arms: dict[str, Arm], rounds: int, scale: Callable[[str], float]) -> dict[str, object]:
    timing = interleaved_timing(arms, rounds, 1)
    first = next(iter(arms))
    found: dict[str, object] = {}
    for name in arms:
        low, high = timing.range(name)
        seconds = [value * scale(name) for value in (low, timing.median(name), high)]
        ratios = [
            (b * scale(name)) / (a * scale(first))
            for a, b in zip(timing.seconds[first], timing.seconds[name], strict=True)
        ]
        ratio = float(np.median(ratios))
        raw = [value * scale(name) for value in timing.seconds[name]]
        found[name] = {"seconds": seconds[1], "range": [seconds[0], seconds[2]], "times the first": ratio, "raw": raw}
        print(f"{name:24} {seconds[1]:9.4f} s   {seconds[0]:.4f} .. {seconds[2]:.4f}   {ratio:6.2f} times {first}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = load_mnist()
    train, test = (
        Pictures(s.images[:, None], TABLE, labels=s.labels.astype(np.int32)) for s in (data.train, data.test)
    )
    print("one epoch of training, seconds:")
    epoch = summary(training(train, options.threads), options.rounds, lambda name: 600 / STEPS[name.split()[0]])
    print("inference of 10,000 images, seconds:")
    images = summary(inference(test, options.threads), options.rounds, lambda _: 1.0)
    if options.out:
        document = {"machine": machine(), "versions": versions(), "threads": options.threads}
        document |= {"epoch": epoch, "inference": images}
        options.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
