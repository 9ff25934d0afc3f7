"""Tells whether the images that a classifier sees have drifted in a way that hurts it, without labels.

A small network is distilled from the classifier on clean images. Where the two disagree, the classifier is likely to be wrong: the
divergence of their answers is each image's score. A :class:`Monitor` compares the scores of new images with those of a clean reference,
and tells how accurate the classifier still is.

>>> monitor = Monitor.fit(images, classifier)          # uint8 (N, H, W, 3) and any callable images -> (N, K)
>>> monitor.save("monitor")
>>> outcome = Monitor.load("monitor", classifier).detect(today)
>>> outcome.is_alarming, outcome.verdict, outcome.accuracy

Images are arrays (numpy, torch, anything with ``__array__`` or DLPack), paths (folders of pictures, ``.npy``, Parquet, tar shards, tables)
or iterables over batches of arrays, such as a ``DataLoader``.
"""

from ._alarms import Audit, SequentialMonitor
from ._detectors import CVMDrift, KSDrift, KsResult, ModelDistillation, corrupt, corruptions, cvm_2samp, ks_2samp, shapes
from ._monitor import Monitor
from ._records import Accuracy, ConfidenceTest, Decision, Interval, Outcome, Record, Sequential, Window
from ._reports import (
    AuditOutcome,
    AuditPick,
    Certificate,
    ClassFinding,
    Explanation,
    FitReport,
    HarmfulImage,
    PairFinding,
    Scores,
)
from ._riptide import Error, __version__

__all__ = [
    "Accuracy",
    "Audit",
    "AuditOutcome",
    "AuditPick",
    "CVMDrift",
    "Certificate",
    "ClassFinding",
    "ConfidenceTest",
    "Decision",
    "Error",
    "Explanation",
    "FitReport",
    "HarmfulImage",
    "Interval",
    "KSDrift",
    "KsResult",
    "ModelDistillation",
    "Monitor",
    "Outcome",
    "PairFinding",
    "Record",
    "Scores",
    "Sequential",
    "SequentialMonitor",
    "Window",
    "__version__",
    "corrupt",
    "corruptions",
    "cvm_2samp",
    "ks_2samp",
    "shapes",
]
