"""What several tests share: the shipped networks, generated images, the command."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import riptide_drift as rd

ROOT = Path(__file__).resolve().parents[3]
NETWORKS = ROOT / "crates/pretrained/networks/shapes"
CLASSIFIER, DISTILLED = NETWORKS / "classifier", NETWORKS / "distilled"


def brightness(images):
    """Two classes by brightness: a classifier that costs nothing."""
    mean = images.reshape(len(images), -1).mean(axis=1) / 255.0
    first = 1.0 / (1.0 + np.exp(-8.0 * (mean - 0.5)))
    return np.stack([first, 1.0 - first], axis=1)


def noise(n, size=8, seed=0):
    """Images uint8 (n, size, size, 3) of random brightness."""
    random = np.random.default_rng(seed)
    middle = random.uniform(40, 215, (n, 1, 1, 1))
    return np.clip(random.normal(middle, 40, (n, size, size, 3)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def shapes():
    return rd.shapes(600, test=True)


@pytest.fixture(scope="session")
def monitor(shapes):
    """The shipped networks with a reference of 400 images and a calibration on a few corruptions."""
    images, labels, names = shapes
    how = {"n_images": 120, "families": ["gaussian_noise", "contrast", "fog", "pixelate", "motion_blur"]}
    return rd.Monitor.from_networks(
        CLASSIFIER, DISTILLED, images[:400], labels[:400], class_names=names, calibration=how, progress=False
    )


@pytest.fixture(scope="session")
def own():
    """A monitor of a callable."""
    return rd.Monitor.fit(noise(300), brightness, epochs=2, filters=8, calibration=False, progress=False)


@pytest.fixture(scope="session")
def command():
    found = os.environ.get("RIPTIDE_BIN") or shutil.which("riptide")
    for profile in ("release", "debug"):
        path = ROOT / "target" / profile / "riptide"
        found = found or (str(path) if path.exists() else None)
    if not found:
        pytest.skip("the command is not built, and RIPTIDE_BIN does not name it")
    return found
