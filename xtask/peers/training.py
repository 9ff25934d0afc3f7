"""Training steps of ResNet-32 and the distilled CNN in other libraries, driven by `cargo xtask bench training --peers` as lines.py says.

A question is {"peer", "network", "batch", "seconds"}: network is classifier or distilled. The answer is {"images_per_second"}. A step is forward, backward
and optimizer on one batch that lies ready in memory, scaled; the classifier learns labels by SGD with momentum, the distilled network a classifier's
probabilities by Adam, the divergence KL(classifier || network) with L1 on the second and third kernel.
"""

import os

from lines import THREADS, rate, serve

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np


def resnet_blocks():
    """(in channels, out channels, stride, has a projection) of each block."""
    channels = 16
    for filters, first in ((16, 1), (32, 2), (64, 2)):
        for block in range(5):
            yield channels, filters, first if block == 0 else 1, block == 0
            channels = filters


def lesson(batch):
    """Images (N, 3, 32, 32), labels and probabilities to learn."""
    rng = np.random.default_rng(batch)
    logits = rng.normal(size=(batch, 10))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    images = rng.normal(size=(batch, 3, 32, 32))
    return images.astype(np.float32), rng.integers(0, 10, batch), probabilities.astype(np.float32)


class PyTorch:
    def __init__(self, channels_last=False):
        import torch

        self.torch, self.version = torch, torch.__version__
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        torch.set_num_threads(THREADS)

    def classifier(self):
        nn, functional = self.torch.nn, self.torch.nn.functional

        def conv_norm(i, o, kernel, stride):
            # As Keras pads `same`: where the total is odd, the extra zero comes after.
            pad = [nn.ZeroPad2d((0, 1, 0, 1))] if stride == 2 and kernel == 3 else []
            padding = kernel // 2 if stride == 1 else 0
            return [*pad, nn.Conv2d(i, o, kernel, stride, padding, bias=False), nn.BatchNorm2d(o)]

        class Block(nn.Module):
            def __init__(self, i, o, stride, projection):
                super().__init__()
                self.branch = nn.Sequential(*conv_norm(i, o, 3, stride), nn.ReLU(inplace=True), *conv_norm(o, o, 3, 1))
                self.shortcut = nn.Sequential(*conv_norm(i, o, 1, stride)) if projection else nn.Identity()

            def forward(self, x):
                return functional.relu(self.branch(x) + self.shortcut(x), inplace=True)

        stem = [*conv_norm(3, 16, 3, 1), nn.ReLU(inplace=True)]
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
        return nn.Sequential(*stem, *[Block(*block) for block in resnet_blocks()], *head)

    def distilled(self):
        nn = self.torch.nn
        convolutions = [nn.Conv2d(3, 256, 4, 2, 1), nn.Conv2d(256, 128, 4, 2, 1), nn.Conv2d(128, 64, 4, 2, 1)]
        first, second, third = convolutions
        layers = [first, second, nn.ReLU(inplace=True), third, nn.ReLU(inplace=True), nn.Flatten()]
        network = nn.Sequential(*layers, nn.Linear(1024, 40), nn.Linear(40, 10))
        return network, [second.weight, third.weight]

    def runner(self, network, batch):
        torch, functional = self.torch, self.torch.nn.functional
        images, labels, probabilities = (torch.from_numpy(array) for array in lesson(batch))
        images = images.to(memory_format=self.format)
        if network == "classifier":
            net = self.classifier()
            optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
            loss = lambda logits: functional.cross_entropy(logits, labels)
        else:
            net, kernels = self.distilled()
            optimizer = torch.optim.Adam(net.parameters(), 1e-3, eps=1e-7)

            def loss(logits):
                divergence = functional.kl_div(functional.log_softmax(logits, 1), probabilities, reduction="batchmean")
                return divergence + 1e-5 * sum(kernel.abs().sum() for kernel in kernels)

        net = net.train().to(memory_format=self.format)

        def step():
            optimizer.zero_grad(set_to_none=True)
            loss(net(images)).backward()
            optimizer.step()

        return step


class TensorFlow:
    def __init__(self):
        import tensorflow as tf

        self.tf, self.version = tf, tf.__version__
        tf.config.threading.set_intra_op_parallelism_threads(THREADS)

    def runner(self, network, batch):
        tf = self.tf
        keras = tf.keras
        images, labels, probabilities = lesson(batch)
        images = tf.constant(images.transpose(0, 2, 3, 1))
        if network == "classifier":
            net, target = classifier(keras), tf.constant(labels)
            optimizer = keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True)
            loss = keras.losses.SparseCategoricalCrossentropy()
        else:
            net, target = distilled(keras), tf.constant(probabilities)
            optimizer = keras.optimizers.Adam(1e-3, epsilon=1e-7)
            loss = keras.losses.KLDivergence()

        @tf.function
        def step():
            with tf.GradientTape() as tape:
                total = loss(target, net(images, training=True)) + sum(net.losses, 0.0)
            gradients = tape.gradient(total, net.trainable_variables)
            optimizer.apply_gradients(zip(gradients, net.trainable_variables))
            return total

        return lambda: step().numpy()


def classifier(keras):
    layers = keras.layers
    decay = keras.regularizers.l2(2e-4)

    def conv_norm(x, filters, kernel, stride):
        conv = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, kernel_regularizer=decay)
        return layers.BatchNormalization(epsilon=1e-5, momentum=0.997)(conv(x))

    inputs = keras.Input((32, 32, 3))
    x = layers.ReLU()(conv_norm(inputs, 16, 3, 1))
    for _, filters, stride, projection in resnet_blocks():
        y = conv_norm(layers.ReLU()(conv_norm(x, filters, 3, stride)), filters, 3, 1)
        shortcut = conv_norm(x, filters, 1, stride) if projection else x
        x = layers.ReLU()(layers.Add()([y, shortcut]))
    x = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, x)


def distilled(keras):
    layers = keras.layers
    l1 = keras.regularizers.l1(1e-5)
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(256, 4, 2, padding="same")(inputs)
    x = layers.Conv2D(128, 4, 2, padding="same", activation="relu", kernel_regularizer=l1)(x)
    x = layers.Conv2D(64, 4, 2, padding="same", activation="relu", kernel_regularizer=l1)(x)
    x = layers.Dense(40)(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def answer(peer, ask):
    step = peer.runner(ask["network"], ask["batch"])
    return {"images_per_second": rate(step, ask["batch"], ask["seconds"])}


if __name__ == "__main__":
    makers = {
        "PyTorch": PyTorch,
        "PyTorch, channels last": lambda: PyTorch(channels_last=True),
    }
    serve(makers, answer)
