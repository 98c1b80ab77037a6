"""The scores of MNIST's 10,000 test images by LeNet-5 with Table I.

mathdnn's engine reads bytes; PyTorch and onnxruntime get float32 images that lie in memory, on as many threads, in the
batch size that was best among three, measured before the rounds. Both convolve densely with zeros off the table.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mathdnn.bench import operations
from mathdnn.bench.figures import faster, takes
from mathdnn.bench.times import Times
from mathdnn.bench.work import Arm, Built, Figure, LeftOut, Settings

NATIVE, EAGER, ONNX = "mathdnn", "PyTorch eager", "onnxruntime"
BATCHES = (100, 500, 2000)
TOLERANCE = 1e-4  # of the largest score


def build_inference(settings: Settings) -> Built:
    """Three ways to the same scores."""
    import torch

    from mathdnn.bench import peers
    from mathdnn.data import load_mnist
    from mathdnn.lenet import LeNet5, to_masked_conv2d
    from mathdnn.training import initialise

    images = load_mnist().test.images[: 200 if settings.quick else None]
    model = initialise(LeNet5("table"), 0)
    dense = peers.with_c3(model, to_masked_conv2d(model.c3))
    pixels = torch.from_numpy(images.astype(np.float32) / np.float32(255))[:, None]
    ways: dict[str, Callable[[int], np.ndarray]] = {EAGER: lambda batch: _eager(dense, pixels, batch)}
    left_out = []
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnx"):
        session, array = onnx_session(dense, settings.threads), pixels.numpy()
        ways[ONNX] = lambda batch: _onnx(session, array, batch)
    else:
        left_out.append(LeftOut(ONNX, "onnx and onnxruntime are not installed (pip install mathdnn[bench])"))
    native = _native(model, images)
    moved, work = float(images.nbytes + 40 * len(images)), operations.forward(model) * len(images)
    cores: dict[str, Any] = {"cores": settings.threads}
    arms = [Arm(NATIVE, native, native, operations=work, bytes=moved, **cores)]
    batches = {}
    for name, way in ways.items():
        batches[name] = _best(way)
        run = _with(way, batches[name])
        arms.append(Arm(name, run, run, **cores))
    return Built(
        tuple(arms), _figures, TOLERANCE, rounds=15, warmup=2, left_out=tuple(left_out),
        facts=lambda: {"batch": batches},
    )  # fmt: skip


def _figures(times: Times) -> list[Figure]:
    return takes(times, NATIVE) + faster(times, NATIVE, [EAGER], 3) + faster(times, NATIVE, [ONNX], 1.5)


def _best(way: Callable[[int], Any]) -> int:
    """The batch size with the shortest of three times."""

    def seconds(batch: int) -> float:
        start = time.perf_counter()
        way(batch)
        return time.perf_counter() - start

    return min(BATCHES, key=lambda batch: min(seconds(batch) for _ in range(3)))


def _with(way: Callable[[int], np.ndarray], batch: int) -> Callable[[], np.ndarray]:
    return lambda: way(batch)


def _native(model: Any, images: np.ndarray) -> Callable[[], np.ndarray]:
    """What the engine does to predict: one call over the bytes."""
    from mathdnn.native.engine import NativeEngine, Pictures
    from mathdnn.native.network import plan_network
    from mathdnn.training import PixelScale
    from mathdnn.training.batches import pixel_table
    from mathdnn.training.native_layers import native_layers

    layers, parameters = native_layers(model)
    engine = NativeEngine(plan_network(layers, (1, *images.shape[1:])))
    tensors = [p.detach().numpy() for p in parameters]
    engine.load([t.reshape(p.shape) for t, p in zip(tensors, engine.plan.parameters, strict=True)])
    pictures = Pictures(np.ascontiguousarray(images[:, None]), pixel_table(PixelScale()))
    return lambda: engine.outputs(pictures)


def _eager(model: Any, pixels: Any, batch: int) -> np.ndarray:
    import torch

    with torch.inference_mode():
        scores: np.ndarray = torch.cat([model(part) for part in pixels.split(batch)]).numpy()
    return scores


def _onnx(session: Any, pixels: np.ndarray, batch: int) -> np.ndarray:
    parts = [session.run(None, {"x": pixels[i : i + batch]})[0] for i in range(0, len(pixels), batch)]
    return np.concatenate(parts)


def onnx_session(model: Any, threads: int) -> Any:
    """The sequential network as an ONNX graph of standard operators, in a session with all optimizations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(onnx_model(model), options, providers=["CPUExecutionProvider"])


def onnx_model(model: Any) -> bytes:
    """Convolutions, tanh, average pools, flatten and linear layers, written out; input x (n, 1, 28, 28)."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights, last = [], [], "x"
    for place, layer in enumerate(model):
        kind, out, inputs, more = type(layer).__name__, f"y{place}", [last], {}
        for name, parameter in layer.named_parameters():
            weights.append(numpy_helper.from_array(parameter.detach().numpy(), f"{name}{place}"))
            inputs.append(f"{name}{place}")
        if kind == "Conv2d":
            more = {"kernel_shape": layer.kernel_size, "pads": layer.padding * 2, "strides": layer.stride}
        elif kind == "AvgPool2d":
            more = {"kernel_shape": [layer.kernel_size] * 2, "strides": [layer.stride] * 2}
        elif kind == "Linear":
            more = {"transB": 1}
        names = {"Conv2d": "Conv", "AvgPool2d": "AveragePool", "Linear": "Gemm"}
        nodes.append(helper.make_node(names.get(kind, kind), inputs, [out], **more))
        last = out
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 28, 28])
    y = helper.make_tensor_value_info(last, TensorProto.FLOAT, ["n", 10])
    graph = helper.make_graph(nodes, "lenet5", [x], [y], weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content: bytes = made.SerializeToString()
    return content
