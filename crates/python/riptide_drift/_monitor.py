"""The monitor, from a fit to an alarm."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from . import _riptide
from ._alarms import Audit, SequentialMonitor
from ._arrays import Asked, Function, Images, is_array, is_path, peeked, rows_of, source_of
from ._options import JUDGE, Calibration, FitOptions, JudgeOptions, calibration_options
from ._progress import ProgressOption, told
from ._records import Accuracy, Decision, Outcome
from ._reports import Certificate, Explanation, FitReport, Scores
from ._riptide import Error

if TYPE_CHECKING:
    from typing_extensions import Unpack

#: A callable images -> (N, K), the path of a network, or logged probabilities (N, K).
Classifier: TypeAlias = "Function | str | os.PathLike[str] | npt.ArrayLike"


class Monitor:
    """A classifier, the network distilled from it, and a reference of clean images: everything that judging new images takes.

    Made by :meth:`fit`, :meth:`from_networks` or :meth:`load`. It does not change: what would change it gives another. It can be pickled and
    copied, together with its classifier if that can be pickled, and used by several threads at a time.
    """

    _inner: _riptide.Monitor
    _function: Function | None
    _report: FitReport | None

    def __init__(self) -> None:
        raise TypeError("a Monitor is made by Monitor.fit, Monitor.from_networks or Monitor.load")

    @classmethod
    def _of(cls, inner: _riptide.Monitor, function: Function | None, report: FitReport | None = None) -> Monitor:
        monitor = object.__new__(cls)
        monitor._inner, monitor._function, monitor._report = inner, function, report
        return monitor

    @classmethod
    def fit(
        cls,
        images: Images,
        classifier: Classifier,
        labels: npt.ArrayLike | None = None,
        *,
        preprocessing: str | Mapping[str, Any] | None = None,
        colours: str | None = None,
        onnx: Mapping[str, Any] | None = None,
        reference: Images | None = None,
        class_names: Sequence[str] | None = None,
        calibration: Calibration = True,
        size: tuple[int, int] | None = None,
        layout: str | None = None,
        value_range: str | None = None,
        progress: ProgressOption = None,
        **options: Unpack[FitOptions],
    ) -> Monitor:
        """Distils a small network from a classifier on clean images.

        :param images: clean images, the more the better (5,000 and up): arrays (N, H, W, 3), (N, 3, H, W) or grey, uint8 or floats; a path; or an
            iterable over batches. A contiguous uint8 array (N, H, W, 3) is read where it is.
        :param classifier: what is watched. A callable that takes uint8 (n, H, W, 3) and gives class probabilities (n, K), once per chunk of at
            most 512 images; the path of an ONNX, safetensors or Keras file; or the logged probabilities (N, K) of these images.
        :param labels: integers (N,), the place of the class among the classifier's outputs. With them, accuracy means right answers.
        :param preprocessing: what images go through before a network from a file: "none", "imagenet", "clip", "cifar", "mnist", "keras-255",
            "keras-tf", "keras-caffe", "scale-by-instance", a file of timm's or Hugging Face's, ``{"mean": [...], "std": [...]}``, or a pipeline.
        :param colours: "rgb", "bgr" or "grey", the order in which a network from a file takes the colours.
        :param onnx: what an ONNX file leaves open: `engine`, `layout`, `size`, `output_name`, `output`, `library`, `device`.
        :param reference: clean images that are kept as the reference; by default a part of `images`.
        :param class_names: the classes' names in the order of the classifier's outputs.
        :param calibration: False leaves the monitor unable to tell accuracy; a dict says how it is calibrated.
        :param size: (height, width) that pictures from a path are stretched to, if the classifier is a callable.
        :param layout: "nhwc", "nchw" or "nhw", if an array's shape can be read in two ways.
        :param value_range: "bytes" (0 to 255), "unit" (0 to 1) or "symmetric" (-1 to 1), of floats, if the numbers do not say it.
        :param progress: see the package's documentation; True, False, or a callable (task, done, total).
        :param options: how the network is distilled and how scores are judged.
        :raises Error: for images, labels, options or a classifier that cannot be used. Exceptions of the callable come out as they are.
        """
        seed = options.get("seed", 0)
        logged = rows_of(classifier, "classifier") if _is_rows(classifier) else None
        how: dict[str, Any] = {"layout": layout, "value_range": value_range, "size": size}
        network, function, source = _classifier(
            classifier, images, preprocessing, colours, onnx, name="images", labels=labels, probabilities=logged, **how
        )
        given: dict[str, Any] = {name: value for name, value in options.items() if name not in JUDGE}
        given["options"] = {name: value for name, value in options.items() if name in JUDGE}
        given["calibration"] = calibration_options(calibration, labels is not None, seed, options.get("checkpoint"))
        if class_names is not None:
            given["class_names"] = [str(name) for name in class_names]
        apart = None if reference is None else source_of(reference, name="reference", **how)
        inner, report = _riptide.Monitor.fit(
            network, source, reference=apart, progress=told(progress), options=given
        )
        return cls._of(inner, function, FitReport(report))

    @classmethod
    def from_networks(
        cls,
        classifier: Classifier,
        distilled: str | os.PathLike[str],
        reference: Images,
        labels: npt.ArrayLike | None = None,
        *,
        preprocessing: str | Mapping[str, Any] | None = None,
        colours: str | None = None,
        onnx: Mapping[str, Any] | None = None,
        class_names: Sequence[str] | None = None,
        calibration: Calibration = True,
        size: tuple[int, int] | None = None,
        layout: str | None = None,
        value_range: str | None = None,
        progress: ProgressOption = None,
        **options: Unpack[JudgeOptions],
    ) -> Monitor:
        """Makes a monitor of a classifier and a distilled network that exist, as the command ``riptide import`` does.

        :param distilled: the path of the distilled network: a folder with ``config.json`` and ``model.safetensors``, or a Keras ``.h5`` file.
        :param reference: clean images that the distilled network was not trained on.

        The other parameters are those of :meth:`fit`.
        """
        logged = rows_of(classifier, "classifier") if _is_rows(classifier) else None
        how: dict[str, Any] = {"layout": layout, "value_range": value_range, "size": size}
        network, function, source = _classifier(
            classifier, reference, preprocessing, colours, onnx, name="reference", labels=labels, probabilities=logged, **how
        )
        inner = _riptide.Monitor.from_networks(
            network,
            _riptide.Network.open(os.fspath(distilled)),
            source,
            class_names=None if class_names is None else [str(name) for name in class_names],
            options=dict(options),
            calibrate=calibration_options(calibration, labels is not None, 0, None),
            progress=told(progress),
        )
        return cls._of(inner, function)

    @classmethod
    def load(cls, path: str | os.PathLike[str], classifier: Function | None = None) -> Monitor:
        """Loads a folder that :meth:`save` or the command wrote.

        :param classifier: the callable, if the monitor was fitted to one: it is asked about a few images, and refused if it answers otherwise.
        :raises Error: if a file or a fact was changed, or if a callable is needed and not given.
        """
        network = None
        if classifier is not None:
            if not callable(classifier):
                raise TypeError("classifier: only a callable is given again; networks and logged probabilities are known to the monitor")
            facts = _facts(path)
            network = _riptide.Classifier.function(Asked(classifier), len(facts["class_names"]), tuple(facts["input_size"]))
        return cls._of(_riptide.Monitor.load(os.fspath(path), network), classifier)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Saves it as a folder, whole or not at all. A callable is not saved: it is given again to :meth:`load`."""
        self._inner.save(os.fspath(path))

    def with_options(self, **options: Unpack[JudgeOptions]) -> Monitor:
        """The same monitor, judging otherwise."""
        return Monitor._of(self._inner.with_options(dict(options)), self._function, self._report)

    def calibrate(
        self,
        images: Images,
        labels: npt.ArrayLike | None = None,
        *,
        progress: ProgressOption = None,
        layout: str | None = None,
        value_range: str | None = None,
        **options: Any,
    ) -> Monitor:
        """The same monitor, calibrated on clean images that neither network was trained on.

        :param options: `n_images`, `families`, `views`, `target`, `seed`, `checkpoint`.
        """
        source = source_of(images, labels=labels, layout=layout, value_range=value_range)
        given = {"target": "errors" if labels is not None else None, **options}
        return Monitor._of(self._inner.calibrate(source, given, told(progress)), self._function, self._report)

    def detect(
        self,
        images: Images,
        *,
        probabilities: npt.ArrayLike | None = None,
        layout: str | None = None,
        value_range: str | None = None,
        progress: ProgressOption = False,
    ) -> Outcome:
        """Tests all images as one batch.

        :param probabilities: what the classifier answered, (N, K), if the monitor was fitted to logged probabilities.
        """
        return self._detect(images, None, probabilities, layout, value_range, progress)[0]

    def detect_batches(
        self,
        images: Images,
        batch_size: int,
        *,
        probabilities: npt.ArrayLike | None = None,
        layout: str | None = None,
        value_range: str | None = None,
        progress: ProgressOption = False,
    ) -> list[Outcome]:
        """Tests batches of `batch_size` images; the last may be smaller. A calibrated monitor carries an alarm over all of them."""
        return self._detect(images, batch_size, probabilities, layout, value_range, progress)

    def _detect(
        self,
        images: Images,
        batch_size: int | None,
        probabilities: npt.ArrayLike | None,
        layout: str | None,
        value_range: str | None,
        progress: ProgressOption,
    ) -> list[Outcome]:
        source = source_of(images, probabilities=probabilities, layout=layout, value_range=value_range)
        found, _ = self._inner.detect(source, batch_size, None, told(progress))
        return [Outcome(outcome) for outcome in found]

    def detect_windows(
        self,
        path: str | os.PathLike[str],
        *,
        group_by: str | None = None,
        time: str | None = None,
        every: str | None = None,
        progress: ProgressOption = False,
    ) -> list[Outcome]:
        """Tests one batch for each value of the column `group_by` of a table, for each span `every` ("1h") of the times in the column `time`,
        or for both."""
        columns = [column for column in (group_by, time) if column is not None]
        source = source_of(path, columns=columns)
        found = self._inner.detect_windows(source, group_by, time, every, told(progress))
        return [Outcome(outcome) for outcome in found]

    def detect_scores(self, scores: npt.ArrayLike) -> Outcome:
        """Tests scores that are known already as one batch. They tell nothing about accuracy."""
        return Outcome(self._inner.detect_scores(np.asarray(scores, dtype=np.float64).tolist()))

    def estimate(
        self,
        images: Images,
        *,
        probabilities: npt.ArrayLike | None = None,
        layout: str | None = None,
        value_range: str | None = None,
    ) -> Accuracy:
        """The accuracy of a batch without labels.

        :raises Error: if the monitor is not calibrated, or if the batch lies outside what was declared, where nothing can be said.
        """
        outcome = self.detect(images, probabilities=probabilities, layout=layout, value_range=value_range)
        if outcome.accuracy is None:
            raise Error(outcome.outside or "the monitor is not calibrated: calibrate it on clean images that neither of its networks was trained on")
        return outcome.accuracy

    def score(
        self,
        images: Images,
        *,
        probabilities: npt.ArrayLike | None = None,
        return_probabilities: bool = False,
        layout: str | None = None,
        value_range: str | None = None,
        progress: ProgressOption = False,
    ) -> Scores:
        """The score, prediction and confidence of every image, as arrays."""
        source = source_of(images, probabilities=probabilities, layout=layout, value_range=value_range)
        return Scores(self._inner.score(source, return_probabilities, told(progress)))

    def predict(
        self,
        images: Images,
        *,
        probabilities: npt.ArrayLike | None = None,
        layout: str | None = None,
        value_range: str | None = None,
    ) -> list[Decision]:
        """Says of each image whether it is flagged: whether its score is above the threshold."""
        source = source_of(images, probabilities=probabilities, layout=layout, value_range=value_range)
        return [Decision(decision) for decision in self._inner.predict(source)]

    def explain(
        self,
        images: Images,
        *,
        n_images: int = 24,
        probabilities: npt.ArrayLike | None = None,
        layout: str | None = None,
        value_range: str | None = None,
        progress: ProgressOption = False,
    ) -> Explanation:
        """Shows where the harm of a batch sits: its most harmful images, classes and confused pairs."""
        source = source_of(images, probabilities=probabilities, layout=layout, value_range=value_range)
        return Explanation(*self._inner.explain(source, n_images, told(progress)))

    def certify(self, require: str | None = None, **options: Any) -> Certificate:
        """Certifies which drops of accuracy the monitor finds in batches of which size. No image goes through a network.

        :param require: what the certificate has to show, such as "drop=0.1,n=500,power=0.95,false-alarms=0.05"; see `Certificate.unmet`.
        :param options: `sizes`, `contaminations`, `batches`, `power`, `streams`, `stream_length`, `seed`.
        """
        return Certificate(*self._inner.certify(require, options))

    def audit(
        self,
        images: Images,
        *,
        probabilities: npt.ArrayLike | None = None,
        layout: str | None = None,
        value_range: str | None = None,
    ) -> Audit:
        """Scores a batch for an audit: labels of a few images, picked at random, tell its accuracy under any drift."""
        source = source_of(images, probabilities=probabilities, layout=layout, value_range=value_range)
        return Audit(self._inner.audit(source))

    def sequential(self, state: Mapping[str, Any] | None = None) -> SequentialMonitor:
        """An alarm over batch after batch whose chance of ever a false alarm is bounded.

        :param state: what :meth:`SequentialMonitor.state` gave, to go on from it; the command's ``--state`` files hold the same.
        """
        return SequentialMonitor(self._inner, state)

    @property
    def report(self) -> FitReport | None:
        """How the fit went; None if the monitor was loaded or made of networks."""
        return self._report

    @property
    def facts(self) -> dict[str, Any]:
        """What it was fitted with, as ``monitor.json`` has it."""
        return self._inner.facts

    @property
    def options(self) -> dict[str, Any]:
        """How it judges scores, as ``options.json`` has it."""
        return self._inner.options

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes' names in the order of the classifier's outputs."""
        return tuple(self.facts["class_names"])

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the images."""
        height, width = self.facts["input_size"]
        return height, width

    @property
    def is_calibrated(self) -> bool:
        """Whether it can tell accuracy."""
        return self.facts["calibration"] is not None

    @property
    def note(self) -> str | None:
        """What fitting had to say about the calibration: why there is none, or why it does without labels."""
        return self._inner.note

    @property
    def threshold(self) -> float:
        """The score above which a single image is flagged."""
        return self._inner.threshold

    @property
    def reference_scores(self) -> npt.NDArray[np.float64]:
        """The scores of the reference, float64 (N,)."""
        return self._inner.reference_scores

    def __copy__(self) -> Monitor:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Monitor:
        # Nothing of it changes.
        return self

    def __reduce__(self) -> tuple[Callable[..., Monitor], tuple[Any, ...]]:
        with tempfile.TemporaryDirectory(prefix="riptide-") as folder:
            root = Path(folder) / "monitor"
            self.save(root)
            files = {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
        return _restored, (files, self._function)

    def __repr__(self) -> str:
        facts = self.facts
        height, width = facts["input_size"]
        calibration = facts["calibration"]
        known = "not calibrated" if calibration is None else f"reference accuracy {100 * calibration['accuracy']:.1f} %"
        return f"Monitor({len(facts['class_names'])} classes, {height} x {width}, {facts['reference']['n_images']} reference images, {known})"


def _restored(files: Mapping[str, bytes], function: Function | None) -> Monitor:
    with tempfile.TemporaryDirectory(prefix="riptide-") as folder:
        root = Path(folder) / "monitor"
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return Monitor.load(root, function)


def _facts(path: str | os.PathLike[str]) -> dict[str, Any]:
    manifest = Path(path) / "monitor.json"
    try:
        facts = json.loads(manifest.read_text(encoding="utf-8"))["facts"]
        if not isinstance(facts["class_names"], list) or len(facts["input_size"]) != 2:
            raise KeyError
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Error(f"{os.fspath(path)}: no monitor of a callable; fit one") from error
    return dict(facts)


def _is_rows(classifier: object) -> bool:
    return not callable(classifier) and not is_path(classifier) and is_array(classifier)


def _classifier(
    classifier: Any,
    images: Any,
    preprocessing: str | Mapping[str, Any] | None,
    colours: str | None,
    onnx: Mapping[str, Any] | None,
    **how: Any,
) -> tuple[_riptide.Classifier, Function | None, _riptide.Source]:
    """The classifier, the callable if it is one, and the images that it is fitted on."""
    if is_path(classifier):
        if isinstance(preprocessing, Mapping) and "mean" in preprocessing:
            preprocessing = {"preprocessing": {"mean_std": dict(preprocessing)}}
        network = _riptide.Classifier.open(os.fspath(classifier), preprocessing=preprocessing, colours=colours, onnx=onnx)
        return network, None, source_of(images, n_classes=network.n_classes, **how)
    if preprocessing is not None or colours is not None or onnx is not None:
        raise Error("preprocessing, colours and onnx are for a network from a file; a callable gets the images as they are")
    logged = how["probabilities"]
    if logged is None and not callable(classifier):
        raise TypeError(f"classifier: {type(classifier).__name__} is no callable, no path and no array of probabilities")
    first, source = peeked(images, **how)
    size = first.shape[1:3]
    if logged is not None:
        return _riptide.Classifier.logged(logged.shape[1], size), None, source(logged.shape[1])
    asked = Asked(classifier)
    # The first images tell how many classes there are.
    n_classes = asked(first).shape[1]
    return _riptide.Classifier.function(asked, n_classes, size), classifier, source(n_classes)
