"""Inference of ResNet-32 and the distilled CNN in other libraries, driven by `cargo xtask bench inference --peers` as lines.py says.

A question is {"peer", "network", "batch", "seconds"}: network is classifier, distilled or scaling. The answer is {"images_per_second"}. Weights are
random: they do not move the time.
"""

import os

from lines import THREADS, rate, serve

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np

RNG = np.random.default_rng(0)


def weight(*shape):
    fan_in = int(np.prod(shape[1:]))
    return RNG.normal(0, (2 / fan_in) ** 0.5, shape).astype(np.float32)


def resnet_blocks():
    """(in channels, out channels, stride, has a projection) of each block."""
    channels = 16
    for filters, first in ((16, 1), (32, 2), (64, 2)):
        for block in range(5):
            yield channels, filters, first if block == 0 else 1, block == 0
            channels = filters


class Onnx:
    """Both networks as ONNX graphs, built by hand."""

    def __init__(self):
        from onnx import TensorProto, helper, numpy_helper

        self.helper, self.numpy_helper, self.float = helper, numpy_helper, TensorProto.FLOAT

    def build(self, network):
        self.nodes, self.arrays, self.count = [], [], 0
        x = self.resnet() if network == "classifier" else self.distilled()
        image = self.helper.make_tensor_value_info("x", self.float, ["n", 3, 32, 32])
        out = self.helper.make_tensor_value_info(x, self.float, ["n", 10])
        graph = self.helper.make_graph(self.nodes, network, [image], [out], self.arrays)
        opset = [self.helper.make_opsetid("", 17)]
        return self.helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()

    def node(self, kind, inputs, **attributes):
        self.count += 1
        name = f"t{self.count}"
        self.nodes.append(self.helper.make_node(kind, inputs, [name], **attributes))
        return name

    def array(self, values):
        self.count += 1
        name = f"w{self.count}"
        self.arrays.append(self.numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def conv(self, x, i, o, k, stride, pads, bias=False):
        inputs = [x, self.array(weight(o, i, k, k))] + ([self.array(np.zeros(o))] if bias else [])
        return self.node("Conv", inputs, kernel_shape=[k, k], strides=[stride, stride], pads=pads)

    def norm(self, x, n):
        values = [np.ones(n), np.zeros(n), np.zeros(n), np.ones(n)]
        return self.node("BatchNormalization", [x] + [self.array(v) for v in values], epsilon=1e-5)

    def relu(self, x):
        return self.node("Relu", [x])

    def resnet(self):
        x = self.relu(self.norm(self.conv("x", 3, 16, 3, 1, [1, 1, 1, 1]), 16))
        for i, o, stride, projection in resnet_blocks():
            pads = [1, 1, 1, 1] if stride == 1 else [0, 0, 1, 1]
            y = self.relu(self.norm(self.conv(x, i, o, 3, stride, pads), o))
            y = self.norm(self.conv(y, o, o, 3, 1, [1, 1, 1, 1]), o)
            shortcut = self.norm(self.conv(x, i, o, 1, stride, [0, 0, 0, 0]), o) if projection else x
            x = self.relu(self.node("Add", [y, shortcut]))
        x = self.node("Flatten", [self.node("GlobalAveragePool", [x])])
        x = self.node("Gemm", [x, self.array(weight(10, 64)), self.array(np.zeros(10))], transB=1)
        return self.node("Softmax", [x], axis=-1)

    def distilled(self):
        x = self.conv("x", 3, 256, 4, 2, [1, 1, 1, 1], True)
        x = self.relu(self.conv(x, 256, 128, 4, 2, [1, 1, 1, 1], True))
        x = self.relu(self.conv(x, 128, 64, 4, 2, [1, 1, 1, 1], True))
        x = self.node("Flatten", [self.node("Transpose", [x], perm=[0, 2, 3, 1])])
        x = self.node("Gemm", [x, self.array(weight(40, 1024)), self.array(np.zeros(40))], transB=1)
        x = self.node("Gemm", [x, self.array(weight(10, 40)), self.array(np.zeros(10))], transB=1)
        return self.node("Softmax", [x], axis=-1)


class OnnxRuntime:
    def __init__(self):
        import onnxruntime

        self.library, self.version = onnxruntime, onnxruntime.__version__
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.inter_op_num_threads = 1
        self.sessions = {
            name: onnxruntime.InferenceSession(Onnx().build(name), options, providers=["CPUExecutionProvider"])
            for name in ("classifier", "distilled")
        }

    def runner(self, network, batch):
        x, session = images(batch), self.sessions[network]
        return lambda: session.run(None, {"x": x})


class OpenVino:
    def __init__(self):
        import openvino

        self.version = openvino.__version__
        self.core = openvino.Core()
        self.core.set_property("CPU", {"INFERENCE_NUM_THREADS": THREADS, "INFERENCE_PRECISION_HINT": "f32"})
        self.compiled = {}

    def runner(self, network, batch):
        if (network, batch) not in self.compiled:
            model = self.core.read_model(Onnx().build(network))
            model.reshape([batch, 3, 32, 32])
            config = {"PERFORMANCE_HINT": "LATENCY"}
            self.compiled[network, batch] = self.core.compile_model(model, "CPU", config).create_infer_request()
        request, x = self.compiled[network, batch], images(batch)
        return lambda: request.infer({0: x}, share_inputs=True)


class PyTorch:
    def __init__(self, channels_last=False):
        import torch
        from torch import nn
        from torch.nn import functional

        self.torch, self.version = torch, torch.__version__
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        torch.set_num_threads(THREADS)

        class Pad(nn.Module):
            def forward(self, x):
                return functional.pad(x, (0, 1, 0, 1))

        class Block(nn.Module):
            def __init__(self, i, o, stride, projection):
                super().__init__()
                pad = [] if stride == 1 else [Pad()]
                first = nn.Conv2d(i, o, 3, stride, 1 if stride == 1 else 0, bias=False)
                second = nn.Conv2d(o, o, 3, 1, 1, bias=False)
                self.branch = nn.Sequential(
                    *pad, first, nn.BatchNorm2d(o), nn.ReLU(inplace=True), second, nn.BatchNorm2d(o)
                )
                self.shortcut = (
                    nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o)) if projection else nn.Identity()
                )

            def forward(self, x):
                return functional.relu(self.branch(x) + self.shortcut(x), inplace=True)

        class Nhwc(nn.Module):
            def forward(self, x):
                return x.permute(0, 2, 3, 1).flatten(1)

        stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10), nn.Softmax(-1)]
        classifier = nn.Sequential(*stem, *[Block(*block) for block in resnet_blocks()], *head)
        distilled = nn.Sequential(
            nn.Conv2d(3, 256, 4, 2, 1),
            nn.Conv2d(256, 128, 4, 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(128, 64, 4, 2, 1),
            nn.ReLU(inplace=True),
            Nhwc(),
            nn.Linear(1024, 40),
            nn.Linear(40, 10),
            nn.Softmax(-1),
        )
        networks = {"classifier": classifier, "distilled": distilled}
        self.networks = {name: net.eval().to(memory_format=self.format) for name, net in networks.items()}

    def runner(self, network, batch):
        x = self.torch.from_numpy(images(batch)).to(memory_format=self.format)
        net, torch = self.networks[network], self.torch

        def run():
            with torch.inference_mode():
                net(x)

        return run


class TensorFlow:
    def __init__(self):
        import tensorflow as tf

        self.tf, self.version = tf, tf.__version__
        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
        layers = tf.keras.layers

        def conv(x, o, k, stride, bias=False, activation=None):
            layer = layers.Conv2D(o, k, stride, padding="same", use_bias=bias, activation=activation)
            return layer(x)

        def norm(x):
            return layers.BatchNormalization(epsilon=1e-5)(x)

        inputs = tf.keras.Input((32, 32, 3))
        x = layers.ReLU()(norm(conv(inputs, 16, 3, 1)))
        for _, o, stride, projection in resnet_blocks():
            y = layers.ReLU()(norm(conv(x, o, 3, stride)))
            y = norm(conv(y, o, 3, 1))
            shortcut = norm(conv(x, o, 1, stride)) if projection else x
            x = layers.ReLU()(layers.Add()([y, shortcut]))
        x = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
        classifier = tf.keras.Model(inputs, x)
        x = conv(inputs, 256, 4, 2, True)
        x = conv(x, 128, 4, 2, True, "relu")
        x = layers.Flatten()(conv(x, 64, 4, 2, True, "relu"))
        distilled = tf.keras.Model(inputs, layers.Dense(10, activation="softmax")(layers.Dense(40)(x)))
        networks = {"classifier": classifier, "distilled": distilled}
        self.functions = {
            name: tf.function(lambda x, net=net: net(x, training=False)) for name, net in networks.items()
        }

    def runner(self, network, batch):
        x = self.tf.constant(images(batch).transpose(0, 2, 3, 1))
        function = self.functions[network]
        return lambda: function(x).numpy()


class NumPy:
    """Scaling by instance only."""

    def __init__(self):
        self.version = np.__version__

    def runner(self, network, batch):
        assert network == "scaling"
        raw = RNG.integers(0, 256, (batch, 32, 32, 3), dtype=np.uint8)

        def run():
            x = raw.astype(np.float32) / 255
            mean, std = x.mean((1, 2, 3), keepdims=True), x.std((1, 2, 3), keepdims=True)
            return (x - mean) / (std + 1e-12)

        return run


def images(batch):
    return np.random.default_rng(batch).normal(size=(batch, 3, 32, 32)).astype(np.float32)


def answer(peer, ask):
    run = peer.runner(ask["network"], ask["batch"])
    return {"images_per_second": rate(run, ask["batch"], ask["seconds"])}


MAKERS = {
    "NumPy": NumPy,
    "ONNX Runtime": OnnxRuntime,
    "OpenVINO": OpenVino,
    "PyTorch": PyTorch,
    "PyTorch, channels last": lambda: PyTorch(channels_last=True),
    "TensorFlow": TensorFlow,
}
serve(MAKERS, answer)
