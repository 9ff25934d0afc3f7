"""The types: the stub of the extension is what the extension has, and the package passes mypy."""

import subprocess
import sys
from pathlib import Path

import pytest

import riptide_drift as rd

EXAMPLE = """
import numpy as np
import riptide_drift as rd


def classifier(images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.full((len(images), 2), 0.5)


monitor = rd.Monitor.fit(np.zeros((300, 8, 8, 3), np.uint8), classifier, epochs=2, tolerated_drop=0.1, seed=1)
outcome = monitor.detect("today/")
alarming: bool = outcome.is_alarming
verdict: str | None = outcome.verdict
if outcome.accuracy is not None:
    lower: float = outcome.accuracy.drop.lower
scores = monitor.score(np.zeros((3, 8, 8, 3), np.uint8)).scores
mean: float = float(scores.mean())
result = rd.ks_2samp([1.0, 2.0], scores)
p: float = result.pvalue
found = rd.KSDrift(scores, p_val=0.01).predict(scores)["data"]["is_drift"]
"""


def run(*arguments, cwd=None):
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stub_is_what_the_extension_has():
    pytest.importorskip("mypy")
    run("mypy.stubtest", "riptide_drift._riptide")


def test_the_package_and_an_example_pass_mypy(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "example.py").write_text(EXAMPLE)
    run("mypy", "--strict", str(tmp_path / "example.py"), cwd=tmp_path)
    run("mypy", "--strict", "-p", "riptide_drift", cwd=tmp_path)
    (tmp_path / "wrong.py").write_text(EXAMPLE.replace("epochs=2", "epohcs=2"))
    with pytest.raises(AssertionError, match="epohcs"):
        run("mypy", "--strict", str(tmp_path / "wrong.py"), cwd=tmp_path)


def test_everything_public_is_documented_and_exported():
    for name in rd.__all__:
        member = getattr(rd, name)
        if isinstance(member, str):
            continue
        assert member.__doc__, name
        for attribute, value in vars(member).items() if isinstance(member, type) else ():
            if not attribute.startswith("_") and callable(value):
                assert value.__doc__, f"{name}.{attribute}"
    assert (Path(rd.__file__).parent / "py.typed").exists()
