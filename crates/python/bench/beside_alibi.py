"""Riptide beside alibi-detect, on the same machine, images and networks, each in its own environment.

    python bench/beside_alibi.py --ours VENV/bin/python --theirs VENV/bin/python --networks FOLDER

VENV of ours has the wheel; VENV of theirs has `pip install "alibi-detect[tensorflow]==0.13.0" tf_keras`. FOLDER holds model.h5 (the ResNet-32) and
distilled_model.h5 as Keras 2 saves them. Prints one JSON document; times are the best of several runs, in seconds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

N_SCORED, N_FITTED, EPOCHS = 2000, 2000, 3


def best(f, runs):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return min(times)


def many(f, n):
    """The time of one of many short calls."""
    f()
    return best(lambda: [f() for _ in range(n)], 5) / n


def ours(folder, networks):
    import numpy as np
    import riptide_drift as rd

    images, reference, batch = (np.load(folder / f"{name}.npy") for name in ("images", "reference", "batch"))
    drift = rd.KSDrift(reference)
    scoring = rd.ModelDistillation(model=networks / "model.h5", distilled_model=networks / "distilled_model.h5")
    fitting = rd.ModelDistillation(model=networks / "model.h5")
    options = {"epochs": EPOCHS, "filters": 256, "dense": 40, "shrink": 1, "augmentation": "none", "progress": False}
    return {
        "versions": {"riptide": rd.__version__, "numpy": np.__version__},
        "ks_drift_predict": many(lambda: drift.predict(batch), 2000),
        "p_value": float(drift.predict(batch)["data"]["p_val"][0]),
        "score": best(lambda: scoring.score(images[:N_SCORED]), 3),
        "mean_score": float(scoring.score(images[:N_SCORED]).mean()),
        "fit": best(lambda: fitting.fit(images[:N_FITTED], **options), 2),
    }


def theirs(folder, networks):
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import alibi_detect
    import numpy as np
    import tensorflow as tf
    from alibi_detect.ad import ModelDistillation
    from alibi_detect.cd import KSDrift

    images, reference, batch = (np.load(folder / f"{name}.npy") for name in ("images", "reference", "batch"))
    x = images.astype(np.float32) / 255
    x = (x - x.mean(axis=(1, 2, 3), keepdims=True)) / (x.std(axis=(1, 2, 3), keepdims=True) + 1e-12)
    drift = KSDrift(reference, p_val=0.05)
    model = tf.keras.models.load_model(networks / "model.h5", compile=False)
    distilled = tf.keras.models.load_model(networks / "distilled_model.h5", compile=False)
    scoring = ModelDistillation(threshold=1.0, distilled_model=distilled, model=model)

    def fit():
        fresh = tf.keras.models.clone_model(distilled)
        ModelDistillation(distilled_model=fresh, model=model).fit(x[:N_FITTED], epochs=EPOCHS, batch_size=128, verbose=False)

    return {
        "versions": {"alibi-detect": alibi_detect.__version__, "tensorflow": tf.__version__, "numpy": np.__version__},
        "ks_drift_predict": many(lambda: drift.predict(batch), 200),
        "p_value": float(drift.predict(batch)["data"]["p_val"][0]),
        "score": best(lambda: scoring.score(x[:N_SCORED], batch_size=256), 3),
        "mean_score": float(np.mean(scoring.score(x[:N_SCORED], batch_size=256))),
        "fit": best(fit, 1),
    }


def import_time(python, module):
    """What importing costs over starting the interpreter."""

    def start(code):
        return best(lambda: subprocess.run([python, "-c", code], check=True, capture_output=True), 5)

    return start(f"import {module}") - start("pass")


def installed(python):
    """Bytes of everything in the environment but pip and setuptools."""
    found = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True, capture_output=True, text=True)
    leave = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "pytest", "_pytest", "mypy", "mypyc", "scipy", "PIL", "pillow")
    total = 0
    for path in Path(found.stdout.strip()).iterdir():
        if not path.name.startswith(leave):
            total += sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file() and "__pycache__" not in file.parts)
    return total


def compare(arguments):
    with tempfile.TemporaryDirectory() as folder:
        make = (
            "import sys, numpy as np, riptide_drift as rd; from pathlib import Path; f = Path(sys.argv[1]); r = np.random.default_rng(0);"
            f"np.save(f / 'images.npy', rd.shapes({max(N_SCORED, N_FITTED)})[0]);"
            "np.save(f / 'reference.npy', r.normal(size=(1000, 1))); np.save(f / 'batch.npy', r.normal(0.2, size=(100, 1)))"
        )
        subprocess.run([arguments.ours, "-c", make, folder], check=True)
        found = {}
        for part, python, module in (("ours", arguments.ours, "riptide_drift"), ("theirs", arguments.theirs, "alibi_detect.cd")):
            command = [python, __file__, "--part", part, "--folder", folder, "--networks", arguments.networks]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found[part] = json.loads(done.stdout.splitlines()[-1])
            found[part]["import"] = import_time(python, module)
            found[part]["installed_bytes"] = installed(python)
        keys = ("ks_drift_predict", "score", "fit", "import", "installed_bytes")
        found["ratios"] = {key: found["theirs"][key] / found["ours"][key] for key in keys}
        print(json.dumps(found, indent=2))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours")
    parser.add_argument("--theirs")
    parser.add_argument("--networks", required=True)
    parser.add_argument("--part", choices=("ours", "theirs"))
    parser.add_argument("--folder")
    arguments = parser.parse_args()
    if arguments.part:
        part = {"ours": ours, "theirs": theirs}[arguments.part]
        print(json.dumps(part(Path(arguments.folder), Path(arguments.networks))))
    elif arguments.ours and arguments.theirs:
        compare(arguments)
    else:
        sys.exit("give --ours and --theirs")


if __name__ == "__main__":
    main()
