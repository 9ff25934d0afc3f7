"""Tests and scores by themselves, in the shapes that users of alibi-detect know, and corruptions."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _riptide
from ._arrays import Images, as_numpy, is_path, numbers_of, rows_of, source_of
from ._monitor import Monitor
from ._progress import ProgressOption
from ._riptide import Error


class KsResult(NamedTuple):
    """The outcome of a Kolmogorov-Smirnov test."""

    #: The largest distance of the two distribution functions, in the direction that was asked about.
    statistic: float
    #: The p-value.
    pvalue: float
    #: The value at which they lie that far apart.
    statistic_location: float
    #: +1 if the reference's function lies above the batch's there (the batch's values are larger), -1 if below.
    statistic_sign: int


def ks_2samp(
    reference: npt.ArrayLike, batch: npt.ArrayLike, alternative: str = "two-sided", method: str = "auto"
) -> KsResult:
    """The two-sample Kolmogorov-Smirnov test, with the numbers of ``scipy.stats.ks_2samp``.

    :param alternative: "two-sided", "less" or "greater" (the batch's values are larger).
    :param method: "auto" (exact up to 10,000 values a sample), "exact" or "asymptotic".
    :raises Error: for empty samples and for NaN, which scipy lets through.
    """
    found = _riptide.ks_2samp(numbers_of(reference, "reference"), numbers_of(batch, "batch"), alternative, method)
    return KsResult(found["statistic"], found["p_value"], found["location"], found["sign"])


def cvm_2samp(reference: npt.ArrayLike, batch: npt.ArrayLike) -> tuple[float, float]:
    """The two-sample Cramér-von Mises test: statistic and p-value."""
    return _riptide.cvm_2samp(numbers_of(reference, "reference"), numbers_of(batch, "batch"))


def corruptions() -> list[str]:
    """The names of all corruptions, the nineteen of CIFAR-10-C first."""
    return _riptide.corruptions()


def corrupt(
    images: Images,
    name: str,
    severity: int,
    seed: int = 0,
    *,
    first: int = 0,
    layout: str | None = None,
    value_range: str | None = None,
) -> npt.NDArray[np.uint8]:
    """Corrupts images: uint8 (N, H, W, 3).

    :param name: one of :func:`corruptions`, such as "gaussian_noise" or "fog".
    :param severity: 1 (slight) to 5 (severe).
    :param seed: decides the random numbers; one seed gives the same bytes on any machine.
    :param first: the index of the first image among all, if these are a part: image i has index `first` + i.
    """
    return _riptide.corrupt(source_of(images, layout=layout, value_range=value_range), name, severity, seed, first)


def shapes(
    n: int, *, test: bool = False, seed: int = 0
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint32], list[str]]:
    """Generated images of ten shapes, for trying things out without a download.

    :param test: images that no set for training holds, whatever its size.
    :returns: images uint8 (n, 32, 32, 3), labels uint32 (n,), and the names of the classes.
    """
    return _riptide.shapes(n, test, seed)


def _rows(values: Any, name: str) -> npt.NDArray[np.float64]:
    """Features, float64 (n, features): everything but the first axis in one row."""
    array = as_numpy(values)
    if array.ndim == 0:
        raise Error(f"{name}: a single number; it must be an array of rows")
    width = int(np.prod(array.shape[1:], dtype=np.int64))
    return np.ascontiguousarray(array.reshape(len(array), width), dtype=np.float64)


class _Rows:
    """A preprocessing function on flat rows, for a reference that is preprocessed anew at each call."""

    def __init__(self, function: Callable[[Any], Any], shape: tuple[int, ...], dtype: str) -> None:
        self.function, self.shape, self.dtype = function, shape, dtype

    def __call__(self, rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        raw = rows.reshape(len(rows), *self.shape).astype(self.dtype, copy=False)
        return _rows(self.function(raw), "preprocess_fn")


class _Drift:
    _detector: str
    _name: str

    def __init__(
        self,
        x_ref: Any,
        p_val: float = 0.05,
        x_ref_preprocessed: bool = False,
        preprocess_at_init: bool = True,
        update_x_ref: Mapping[str, int] | None = None,
        preprocess_fn: Callable[[Any], Any] | None = None,
        correction: str = "bonferroni",
        alternative: str = "two-sided",
        n_features: int | None = None,
        data_type: str | None = None,
        *,
        seed: int = 0,
    ) -> None:
        self._p_val = p_val
        self._fn = preprocess_fn
        self._raw: _Rows | None = None
        rows = x_ref
        if preprocess_fn is not None and not x_ref_preprocessed:
            if preprocess_at_init:
                rows = preprocess_fn(x_ref)
            else:
                raw = as_numpy(x_ref)
                self._raw = _Rows(preprocess_fn, raw.shape[1:], raw.dtype.str)
        options = {
            "level": p_val,
            "alternative": alternative,
            "correction": correction,
            "data_type": data_type,
            "preprocess_at_init": self._raw is None,
        }
        reference = _rows(rows, "x_ref")
        self._inner = _riptide.Drift(self._detector, reference, options, _update(update_x_ref, seed), self._raw)
        if n_features is not None and self._raw is None and n_features != reference.shape[1]:
            raise Error(f"n_features is {n_features}, but the reference has {reference.shape[1]} features")

    def _batch(self, x: Any) -> npt.NDArray[np.float64]:
        if self._fn is not None and self._raw is None:
            x = self._fn(x)
        return _rows(x, "x")

    def predict(
        self, x: Any, drift_type: str = "batch", return_p_val: bool = True, return_distance: bool = True
    ) -> dict[str, dict[str, Any]]:
        """Tests a batch, and then lets the reference follow it if `update_x_ref` says so.

        :param x: rows like the reference's.
        :param drift_type: "batch" (one decision, corrected for the number of features) or "feature" (one decision each, uncorrected).
        :returns: ``{"data": {"is_drift", "distance", "p_val", "threshold"}, "meta": {...}}``; `is_drift` is 0 or 1, or an array of them for
            "feature"; `distance` and `p_val` are float32 (features,).
        """
        if drift_type not in ("batch", "feature"):
            raise Error(f"drift_type is {drift_type!r}; it must be 'batch' or 'feature'")
        found = self._inner.predict(self._batch(x))
        meta, data = found["meta"], found["data"]
        p_values = np.asarray(data["p_val"], dtype=np.float64)
        told: dict[str, Any] = {"is_drift": int(data["is_drift"]), "threshold": data["threshold"]}
        if isinstance(told["threshold"], list):
            told["threshold"] = np.asarray(told["threshold"])
        if drift_type == "feature":
            told = {"is_drift": (p_values < self._p_val).astype(np.int64), "threshold": self._p_val}
        if return_p_val:
            told["p_val"] = p_values.astype(np.float32)
        if return_distance:
            told["distance"] = np.asarray(data["distance"], dtype=np.float32)
        return {"data": told, "meta": {**meta, "name": self._name}}

    def score(self, x: Any) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """P-value and distance of each feature, float32 (features,), without deciding and without touching the reference."""
        p_values, distances = self._inner.score(self._batch(x))
        return p_values.astype(np.float32), distances.astype(np.float32)

    @property
    def x_ref(self) -> npt.NDArray[np.float64]:
        """The present reference, float64 (n, features)."""
        return self._inner.reference

    @property
    def n(self) -> int:
        """Number of instances ever seen."""
        return self._inner.n_seen

    def __getstate__(self) -> dict[str, Any]:
        return {"p_val": self._p_val, "fn": self._fn, "raw": self._raw, "state": self._inner.state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._p_val, self._fn, self._raw = state["p_val"], state["fn"], state["raw"]
        self._inner = _riptide.Drift.from_state(state["state"], self._raw)

    def __repr__(self) -> str:
        return f"{self._name}({len(self.x_ref)} reference rows, p_val={self._p_val})"


def _update(given: Mapping[str, int] | None, seed: int) -> dict[str, Any] | None:
    if given is None:
        return None
    if len(given) != 1 or not set(given) <= {"last", "reservoir_sampling"}:
        raise Error(f"update_x_ref is {dict(given)}; it must be {{'last': n}} or {{'reservoir_sampling': n}}")
    ((kind, n),) = given.items()
    return {"kind": kind, "n": int(n), **({"seed": seed} if kind == "reservoir_sampling" else {})}


class KSDrift(_Drift):
    """The Kolmogorov-Smirnov test of every feature against a reference, corrected for their number.

    :param x_ref: the reference; rows of features, of any shape behind the first axis.
    :param p_val: the significance level.
    :param x_ref_preprocessed: whether `x_ref` has gone through `preprocess_fn` already.
    :param preprocess_at_init: whether the reference goes through `preprocess_fn` once (default) or at each call.
    :param update_x_ref: ``{"last": n}`` or ``{"reservoir_sampling": n}`` lets the reference follow the batches.
    :param preprocess_fn: makes features of raw rows.
    :param correction: "bonferroni" or "fdr".
    :param alternative: "two-sided", "less" or "greater" (the batch's values are larger).
    :param seed: of the reservoir.
    """

    _detector, _name = "KsDrift", "KSDrift"


class CVMDrift(_Drift):
    """The Cramér-von Mises test of every feature against a reference; the parameters of :class:`KSDrift`, without one-sided alternatives."""

    _detector, _name = "CvmDrift", "CVMDrift"


class ModelDistillation:
    """Scores images by how far a distilled network's answer lies from the classifier's, and flags those above a threshold.

    :param threshold: the score above which an image is flagged; see :meth:`infer_threshold`.
    :param distilled_model: the distilled network, a callable or a path; None if :meth:`fit` is to make it.
    :param model: the classifier, likewise. Callables get the images as they are given and give probabilities (n, K); networks from paths get
        uint8 images (N, H, W, 3).
    :param loss_type: "kld" or "xent".
    :param temperature: of the classifier's probabilities.
    """

    def __init__(
        self,
        threshold: float | None = None,
        distilled_model: Any = None,
        model: Any = None,
        loss_type: str = "kld",
        temperature: float = 1.0,
        data_type: str | None = None,
    ) -> None:
        if model is None:
            raise Error("model: the classifier is missing")
        self.threshold = threshold
        self._given = (model, distilled_model)
        self._model, self._distilled = _network(model), None if distilled_model is None else _network(distilled_model)
        self._loss, self._temperature, self._data_type = loss_type, temperature, data_type

    def fit(self, X: Images, *, progress: ProgressOption = None, **options: Any) -> None:
        """Distils a network from the classifier on clean images, with the options of :meth:`Monitor.fit`; it replaces the one there is."""
        options = {"temperature": self._temperature, "calibration": False, **options}
        self._distilled = Monitor.fit(X, self._given[0], progress=progress, **options)._inner.distilled

    def score(self, X: Images, batch_size: int = 512) -> npt.NDArray[np.float32]:
        """The score of each image, float32 (N,).

        :param batch_size: how many images a callable gets at a time.
        """
        if self._distilled is None:
            raise Error("there is no distilled network: give distilled_model, or fit")
        classifier = _answers(self._model, X, batch_size, "model")
        distilled = _answers(self._distilled, X, batch_size, "distilled_model")
        return _riptide.distillation_score(classifier, distilled, self._loss, self._temperature)

    def infer_threshold(self, X: Images, threshold_perc: float = 99.0, margin: float = 0.0, batch_size: int = 512) -> None:
        """Sets the threshold to a percentile of the scores of clean images, plus a margin."""
        scores = self.score(X, batch_size).astype(np.float64)
        self.threshold = _riptide.percentile(scores.tolist(), threshold_perc) + margin

    def predict(self, X: Images, batch_size: int = 512, return_instance_score: bool = True) -> dict[str, dict[str, Any]]:
        """Flags the images that score above the threshold.

        :returns: ``{"data": {"is_adversarial", "instance_score", "threshold"}, "meta": {...}}``.
        """
        if self.threshold is None:
            raise Error("no threshold: give one, or infer_threshold from clean images")
        scores = self.score(X, batch_size)
        data: dict[str, Any] = {
            "is_adversarial": (scores.astype(np.float64) > self.threshold).astype(np.int64),
            "threshold": self.threshold,
        }
        if return_instance_score:
            data["instance_score"] = scores
        meta = {
            "name": "ModelDistillation",
            "detector_type": "adversarial",
            "data_type": self._data_type,
            "online": False,
            "version": _riptide.__version__,
        }
        return {"data": data, "meta": meta}


def _network(given: Any) -> Any:
    if is_path(given):
        return _riptide.Network.open(os.fspath(given))
    if not callable(given):
        raise TypeError(f"{type(given).__name__} is neither a callable nor a path")
    return given


def _answers(network: Any, X: Any, batch_size: int, name: str) -> npt.NDArray[np.float32]:
    if isinstance(network, _riptide.Network):
        return network.predict_proba(source_of(X, name="X"))
    if batch_size < 1:
        raise Error(f"batch_size is {batch_size}; it must be at least 1")
    rows = [rows_of(network(X[first : first + batch_size]), name) for first in range(0, len(X), batch_size)]
    if not rows:
        raise Error("X: no images")
    return np.concatenate([row for row in rows if row is not None])
