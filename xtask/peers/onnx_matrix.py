"""Exports real architectures with random weights in many ways, and compares Riptide's probabilities with ONNX Runtime's.

Needs torch, torchvision, timm, onnx, onnxscript, onnxruntime and numpy, and the example built before:

    cargo build --release -p riptide-models --features onnx --example probabilities
    python xtask/peers/onnx_matrix.py target/release/examples/probabilities --table matrix.md [--only NAME,NAME] [--work FOLDER]

Each cell of the table is the largest difference of a probability over all images, or "refused". Differences of 1e-3 and more are counted as wrong. Networks of 8 bits and of 16-bit
floats are wrong if their answers are further from the float network's than 1.5 times ONNX Runtime's: a value may be rounded the other way, which random networks make much of.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
import timm  # noqa: E402
import torch  # noqa: E402
import torchvision.models as tv  # noqa: E402
from onnxruntime import quantization  # noqa: E402

N, CLASSES = 4, 10

# Name: (maker, size of the images).
NETWORKS = {
    "resnet18": (lambda: tv.resnet18(num_classes=CLASSES), 64),
    "resnext50_32x4d": (lambda: tv.resnext50_32x4d(num_classes=CLASSES), 64),
    "mobilenet_v2": (lambda: tv.mobilenet_v2(num_classes=CLASSES), 64),
    "mobilenet_v3_small": (lambda: tv.mobilenet_v3_small(num_classes=CLASSES), 224),
    "efficientnet_b0": (lambda: tv.efficientnet_b0(num_classes=CLASSES), 64),
    "convnext_tiny": (lambda: tv.convnext_tiny(num_classes=CLASSES), 64),
    "regnet_y_400mf": (lambda: tv.regnet_y_400mf(num_classes=CLASSES), 64),
    "shufflenet_v2_x0_5": (lambda: tv.shufflenet_v2_x0_5(num_classes=CLASSES), 64),
    "squeezenet1_1": (lambda: tv.squeezenet1_1(num_classes=CLASSES), 64),
    "densenet121": (lambda: tv.densenet121(num_classes=CLASSES), 64),
    "mnasnet0_5": (lambda: tv.mnasnet0_5(num_classes=CLASSES), 64),
    "googlenet": (lambda: tv.googlenet(num_classes=CLASSES, aux_logits=False, init_weights=False), 64),
    "vgg11_bn": (lambda: tv.vgg11_bn(num_classes=CLASSES), 32),
    "swin_t": (lambda: tv.swin_t(num_classes=CLASSES), 64),
    "vit_tiny": (lambda: timm.create_model("vit_tiny_patch16_224", num_classes=CLASSES), 224),
    "deit_tiny": (lambda: timm.create_model("deit_tiny_patch16_224", num_classes=CLASSES, img_size=64), 64),
    "mixer_s32": (lambda: timm.create_model("mixer_s32_224", num_classes=CLASSES, img_size=64), 64),
    "resmlp_12": (lambda: timm.create_model("resmlp_12_224", num_classes=CLASSES, img_size=64), 64),
    "convmixer": (lambda: timm.models.convmixer.ConvMixer(256, 4, kernel_size=7, patch_size=7, num_classes=CLASSES), 64),
    "ghostnet_100": (lambda: timm.create_model("ghostnet_100", num_classes=CLASSES), 64),
    "nf_resnet26": (lambda: timm.create_model("nf_resnet26", num_classes=CLASSES), 64),
    "coatnet_nano": (lambda: timm.create_model("coatnet_nano_rw_224", num_classes=CLASSES, img_size=64), 64),
}

# Kind of cell: (exporter, opset, open number of images, weights beside the file, what is done to it afterwards).
CELLS = {
    "script 17 open": ("script", 17, True, False, None),
    "script 17 fixed": ("script", 17, False, False, None),
    "script 20 open": ("script", 20, True, False, None),
    "script 17 beside": ("script", 17, True, True, None),
    "dynamo 18 open beside": ("dynamo", 18, True, True, None),
    "dynamo 18 fixed": ("dynamo", 18, False, False, None),
    "dynamo 20 open": ("dynamo", 20, True, False, None),
    "dynamo 23 open": ("dynamo", 23, True, False, None),
    "float16": ("script", 17, True, False, "half"),
    "int8 per tensor": ("script", 17, True, False, "tensor"),
    "int8 per channel": ("script", 17, True, False, "channel"),
}


def randomised(model, x):
    """Statistics of batch normalisation as a training would leave them: with those of a new network, nothing of an image would reach the output."""
    for module in model.modules():
        if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
            module.momentum = None
    with torch.no_grad():
        model.train()(x)
    return model.eval()


class Scaled(torch.nn.Module):
    """Logits of random weights hardly differ from image to image; these do as much as a trained network's."""

    def __init__(self, model, x):
        super().__init__()
        self.model = model
        with torch.no_grad():
            logits = model(x)
        self.register_buffer("mean", logits.mean(0, keepdim=True))
        self.register_buffer("scale", (logits - self.mean).std().reciprocal())
        assert self.scale < 1e4, "the network hardly looks at its images"

    def forward(self, x):
        return (self.model(x) - self.mean) * self.scale


def export(model, x, exporter, opset, is_open, beside, path, programs):
    if exporter == "script":
        axes = {"x": {0: "batch"}, "y": {0: "batch"}} if is_open else None
        torch.onnx.export(model, (x,), path, input_names=["x"], output_names=["y"], opset_version=opset, dynamic_axes=axes, dynamo=False)
        if beside:
            onnx.save(onnx.load(path), path, save_as_external_data=True, location=os.path.basename(path) + ".data", size_threshold=64)
        return
    if is_open not in programs:
        shapes = ({0: torch.export.Dim("batch", min=1, max=64)},) if is_open else None
        with torch.no_grad():
            programs[is_open] = torch.export.export(model, (x,), dynamic_shapes=shapes)
    torch.onnx.export(programs[is_open], (x,), path, input_names=["x"], output_names=["y"], opset_version=opset, external_data=beside, dynamo=True, verbose=False)


class Images(quantization.CalibrationDataReader):
    def __init__(self, x):
        self.rest = iter([{"x": image[None]} for image in x])

    def get_next(self):
        return next(self.rest, None)


def changed(path, how, x):
    out = path.replace(".onnx", f"_{how}.onnx")
    if how == "half":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=True), out)
    else:
        quantization.quantize_static(path, out, Images(x), per_channel=how == "channel", activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8)
    return out


def softmax(x):
    e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def expected(path, x):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    batch = session.get_inputs()[0].shape[0]
    parts = x if isinstance(batch, int) else [x]
    return softmax(np.concatenate([session.run(None, {"x": part.reshape(-1, *x.shape[1:])})[0] for part in parts]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--table")
    parser.add_argument("--only")
    parser.add_argument("--work")
    arguments = parser.parse_args()
    work = arguments.work or tempfile.mkdtemp()
    os.makedirs(work, exist_ok=True)
    chosen = arguments.only.split(",") if arguments.only else list(NETWORKS)
    torch.manual_seed(0)
    results, counts, start = {}, {"read": 0, "refused": 0, "wrong": 0, "not exported": 0}, time.time()
    for name in chosen:
        make, size = NETWORKS[name]
        pixels = np.random.default_rng(7).integers(0, 256, (N, size, size, 3), np.uint8)
        x = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), dtype=np.float32) / np.float32(255)
        np.save(f"{work}/images.npy", pixels)
        model = Scaled(randomised(make(), torch.from_numpy(x)), torch.from_numpy(x)).eval()
        programs, results[name] = {}, {}
        for cell, (exporter, opset, is_open, beside, how) in CELLS.items():
            path = f"{work}/{name}.onnx"
            try:
                export(model, torch.from_numpy(x[: 2 if is_open else 1]), exporter, opset, is_open, beside, path, programs)
                if how:
                    exact = expected(path, x)
                    path = changed(path, how, x)
                want = expected(path, x)
            except Exception as error:  # an exporter that cannot is no fault of the reader
                results[name][cell] = "not exported"
                counts["not exported"] += 1
                print(f"{name:20} {cell:24} not exported: {str(error).strip().splitlines()[:1]}", flush=True)
                continue
            run = subprocess.run([arguments.program, "tract", path, f"{work}/images.npy"], capture_output=True, text=True)
            if run.returncode:
                results[name][cell], kind = "refused", "refused"
                told = run.stderr.strip()
            else:
                got = np.array([json.loads(line) for line in run.stdout.splitlines()])
                difference = float(np.abs(got - want).max())
                spread = float(np.abs(want - want.mean(0)).max())
                most, told_more = 1e-3, ""
                if how:
                    # Rounding to 8 or 16 bits may fall the other way: what counts is that the answers are as near to the float network's as ONNX Runtime's are.
                    ours, theirs = (np.sqrt(((answer - exact) ** 2).mean()) for answer in (got, want))
                    most = difference + 1 if ours < 1.5 * theirs + 1e-3 else 0
                    told_more = f"; error of the rounding {ours:.1e}, ONNX Runtime's {theirs:.1e}"
                kind = "read" if difference < most else "wrong"
                results[name][cell] = f"{difference:.0e}" if kind == "read" else f"**{difference:.0e}**"
                told = f"{difference:.2e}; images differ by {spread:.1e}{told_more}"
            counts[kind] += 1
            print(f"{name:20} {cell:24} {kind}: {told}", flush=True)
            for file in os.listdir(work):
                if file.endswith((".onnx", ".data")):
                    os.remove(f"{work}/{file}")
    lines = ["| architecture | " + " | ".join(CELLS) + " |", "| --- " * (len(CELLS) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(results[name][cell] for cell in CELLS) + " |" for name in chosen]
    summary = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    lines += ["", f"{summary}; torch {torch.__version__}, ONNX Runtime {onnxruntime.__version__}; {time.time() - start:.0f} s."]
    print("\n".join(lines))
    if arguments.table:
        with open(arguments.table, "w") as file:
            file.write("\n".join(lines) + "\n")
    sys.exit(counts["wrong"] > 0)


if __name__ == "__main__":
    main()
