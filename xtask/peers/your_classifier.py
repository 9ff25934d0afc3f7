"""Runs the commands of docs/your-classifier.md and says what happened.

    cargo build --release -p riptide-cli && cargo build --release -p riptide-drift --example framed
    python xtask/peers/your_classifier.py [--riptide target/release/riptide] [--framed target/release/examples/framed] [--keep DIR]

Needs torch, torchvision, timm, onnx, onnxscript, numpy, pillow; for scikit-learn's section scikit-learn and skl2onnx. Nothing is
downloaded: networks have random weights, except those that are trained here in a few seconds. A section whose packages are not
installed is called "not run here". Ends with exit code 1 if a section fails.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import traceback

import numpy
from PIL import Image

arguments = argparse.ArgumentParser()
arguments.add_argument("--riptide", default="target/release/riptide")
arguments.add_argument("--framed", default="target/release/examples/framed")
arguments.add_argument("--keep", help="work in this folder and keep it")
arguments.add_argument("--only", help="run only the sections with this in their names")
options = arguments.parse_args()
failed = 0


def riptide(*words, code=0, quiet=False):
    """Runs the command, prints it with what it said, and checks its exit code."""
    words = [str(word) for word in words]
    done = subprocess.run([options.riptide, *words], capture_output=True, text=True)
    if not quiet:
        print("  $ riptide " + " ".join(words))
        for line in (done.stdout + done.stderr).strip().splitlines():
            print("    " + line)
    assert done.returncode == code, f"exit code {done.returncode}, expected {code}: {done.stderr}"
    return done.stdout


def photographs(folder, n=40):
    """Synthetic photographs of mixed sizes, JPEG and PNG by turns: smooth colours, edges and some noise."""
    os.makedirs(folder, exist_ok=True)
    random = numpy.random.default_rng(0)
    for i in range(n):
        height, width = random.integers(150, 700, 2)
        y, x = numpy.mgrid[0:height, 0:width].astype(float)
        picture = numpy.zeros((height, width, 3))
        for channel in range(3):
            for _ in range(4):
                fy, fx, phase = random.normal(0, 0.03, 2).tolist() + [random.uniform(0, 6)]
                picture[..., channel] += numpy.sin(fy * y + fx * x + phase)
        for _ in range(12):
            top, left = random.integers(0, height), random.integers(0, width)
            picture[top : top + height // 4, left : left + width // 4] += random.normal(0, 1.5, 3)
        picture = 128 + 40 * picture + random.normal(0, 6, picture.shape)
        picture = Image.fromarray(picture.clip(0, 255).astype(numpy.uint8))
        if i % 2:
            picture.save(f"{folder}/{i:02}.png")
        else:
            picture.save(f"{folder}/{i:02}.jpg", quality=90)
    return [f"{folder}/{name}" for name in sorted(os.listdir(folder))]


def sharpened(model, head, images):
    """Random weights that answer differently to different images: batch statistics of these images, and a scaled last layer."""
    import torch

    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        model.train()
        model(images)
        model.eval()
        logits = model(images)
        head.weight *= 3 / logits.std(0).mean()
        head.bias *= 0
        head.bias -= model(images).mean(0)
        return torch.softmax(model(images), 1).numpy().astype(numpy.float32)


def pytorch(folder):
    import torch
    from torchvision import models, transforms

    torch.manual_seed(0)
    files = photographs(f"{folder}/photographs")
    transform = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    images = torch.stack([transform(Image.open(file).convert("RGB")) for file in files])
    model = models.resnet18(num_classes=10)
    numpy.save(f"{folder}/p.npy", sharpened(model, model.fc, images))

    framed = numpy.load(run_framed(f"{folder}/photographs", folder))
    pixels = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])
    theirs = numpy.stack([numpy.asarray(pixels(Image.open(file).convert("RGB"))) for file in files])
    difference = numpy.abs(framed.astype(int) - theirs.astype(int))
    print(f"  40 photographs framed as torchvision frames them: largest difference {difference.max()} grey levels, mean {difference.mean():.4f}")
    assert difference.max() <= 2

    example = (torch.zeros(1, 3, 224, 224),)
    for name, more in (("default", {}), ("older", {"dynamo": False})):
        file = f"{folder}/{name}.onnx"
        torch.onnx.export(model, example, file, verbose=False, **more)
        print(f"  exporter: {name}; files: {sorted(n for n in os.listdir(folder) if n.startswith(name))}")
        check = ["check", "--classifier", file, "--images", f"{folder}/photographs", "--expected", f"{folder}/p.npy"]
        riptide(*check, "--preprocessing", "imagenet")
        report = json.loads(riptide(*check, "--preprocessing", "imagenet", "--json", quiet=True))
        assert report["n_same_class"] == 40, report
    riptide(*check, "--preprocessing", "clip", code=1)


def run_framed(photographs, folder):
    out = f"{folder}/framed.npy"
    subprocess.run([options.framed, photographs, "imagenet", "224", out], check=True, capture_output=True)
    return out


def in_timm(folder):
    import timm
    import torch

    torch.manual_seed(0)
    files = photographs(f"{folder}/photographs")
    model = timm.create_model("resnet18", pretrained=False, num_classes=10)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    images = torch.stack([transform(Image.open(file).convert("RGB")) for file in files])
    numpy.save(f"{folder}/p.npy", sharpened(model, model.fc, images))
    os.makedirs(f"{folder}/model", exist_ok=True)
    torch.onnx.export(model, (torch.zeros(1, 3, 224, 224),), f"{folder}/model/model.onnx", verbose=False)
    json.dump({"pretrained_cfg": model.pretrained_cfg}, open(f"{folder}/model/config.json", "w"))
    riptide("check", "--classifier", f"{folder}/model/model.onnx", "--images", f"{folder}/photographs", "--expected", f"{folder}/p.npy")


def as_images(model, channels, height, width):
    """A model of rows (N, numbers) as one of images (N, channels, height, width) with its last output, the probabilities."""
    import onnx
    from onnx import TensorProto, helper

    graph = model.graph
    rows = graph.input[0].name
    shape = helper.make_tensor("images_as_rows", TensorProto.INT64, [2], [-1, channels * height * width])
    graph.initializer.append(shape)
    graph.node.insert(0, helper.make_node("Reshape", ["images", "images_as_rows"], [rows]))
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", channels, height, width]))
    del graph.output[:-1]
    # Nodes for the label alone are left over, and some readers do not know them.
    model = onnx.utils.Extractor(model).extract_model(["images"], [graph.output[0].name])
    onnx.checker.check_model(model)
    return model


def scikit_learn(folder):
    import onnx
    import skl2onnx
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    digits = load_digits()
    bytes_ = (digits.images * 15).astype(numpy.uint8)
    rows = bytes_.reshape(-1, 64).astype(numpy.float32) / 255
    model = MLPClassifier((64,), max_iter=300, random_state=0).fit(rows, digits.target)
    file = skl2onnx.to_onnx(model, numpy.zeros((1, 64), numpy.float32), options={"zipmap": False})
    onnx.save(as_images(file, 1, 8, 8), f"{folder}/model.onnx")
    numpy.save(f"{folder}/x.npy", numpy.repeat(bytes_[..., None], 3, 3))
    numpy.save(f"{folder}/p.npy", model.predict_proba(rows).astype(numpy.float32))
    check = ["check", "--classifier", f"{folder}/model.onnx", "--images", f"{folder}/x.npy", "--expected", f"{folder}/p.npy"]
    riptide(*check, "--preprocessing", "none")
    riptide(*check)


def from_training_to_a_verdict(folder):
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, f"{here}/../../crates/cli/examples")
    import train_classifier

    # Two classes of stripes, told apart by their direction.
    random = numpy.random.default_rng(0)
    for label, name in enumerate(("across", "upright")):
        os.makedirs(f"{folder}/training/{name}", exist_ok=True)
        for i in range(400):
            y, x = numpy.mgrid[0:32, 0:32]
            wave = numpy.sin((x if label else y) * random.uniform(0.4, 1.2) + random.uniform(0, 6))
            picture = random.uniform(60, 190, 3) + wave[..., None] * random.uniform(25, 60, 3) + random.normal(0, 12, (32, 32, 3))
            Image.fromarray(picture.clip(0, 255).astype(numpy.uint8)).save(f"{folder}/training/{name}/{i:03}.png")
    train_classifier.main(f"{folder}/training", f"{folder}/classifier.onnx", 4)
    fit = ["fit", "--classifier", f"{folder}/classifier.onnx", "--images", f"{folder}/training", "--epochs", "3", "--filters", "32"]
    riptide(*fit, "--preprocessing", "none", "--out", f"{folder}/monitor")
    riptide("detect", "--monitor", f"{folder}/monitor", "--images", f"{folder}/training")


SECTIONS = [
    ("PyTorch, torchvision", ["torch", "torchvision", "onnx", "onnxscript"], pytorch),
    ("timm", ["torch", "timm", "onnx", "onnxscript"], in_timm),
    ("Hugging Face", ["optimum", "transformers"], None),
    ("Keras 3", ["keras", "tf2onnx"], None),
    ("TensorFlow SavedModel", ["tensorflow", "tf2onnx"], None),
    ("scikit-learn", ["sklearn", "skl2onnx", "onnx"], scikit_learn),
    ("LightGBM", ["lightgbm", "onnxmltools"], None),
    ("from training to a verdict", ["torch", "torchvision", "onnx", "onnxscript"], from_training_to_a_verdict),
]

with tempfile.TemporaryDirectory() as temporary:
    for title, packages, section in SECTIONS:
        if options.only and options.only not in title:
            continue
        missing = [package for package in packages if importlib.util.find_spec(package) is None]
        if section is None or missing:
            reason = f"{', '.join(missing)} not installed" if missing else "no command of its own"
            print(f"{title}: not run here ({reason})")
            continue
        print(title)
        folder = os.path.join(options.keep or temporary, title.split(",")[0].replace(" ", "-").lower())
        os.makedirs(folder, exist_ok=True)
        try:
            section(folder)
        except Exception:
            failed += 1
            traceback.print_exc()
            print(f"{title}: FAILED")
        sys.stdout.flush()
sys.exit(failed > 0)
