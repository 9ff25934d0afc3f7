"""What takes more than a batch to find out: explanations, columns of scores, certificates, audits."""

from __future__ import annotations

import base64
import copy
import html
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ._records import Interval, Record, table


class ClassFinding(Record):
    """A class of the classifier's answers in which there is an excess of large scores, or not."""

    _nested = {"excess_fraction": Interval}

    name: str
    #: The class's place among the classifier's outputs.
    label: int
    n_batch: int
    n_reference: int
    excess_fraction: Interval
    #: The p-value, corrected for the number of classes if `is_significant` is told.
    p_value: float
    is_significant: bool

    def __init__(self, data: Mapping[str, Any]) -> None:
        values = dict(data)
        if "class" in values:
            values["label"] = values.pop("class")
        super().__init__(values)


class PairFinding(Record):
    """One way in which the two networks disagree."""

    classifier_name: str
    distilled_name: str
    classifier: int
    distilled: int
    n_batch: int
    n_reference: int
    excess: float
    p_value: float
    is_significant: bool


class HarmfulImage(Record):
    """One of the most harmful images."""

    #: Its place among all images.
    index: int
    file: str | None
    score: float
    #: The names of the classes that the classifier and the distilled network give it.
    classifier: str
    distilled: str


class Explanation(Record):
    """Where the harm of a batch sits."""

    _nested = {"classes": ClassFinding, "pairs": PairFinding, "images": HarmfulImage}

    n_images: int
    #: The test of the whole batch for an excess of harmful images.
    harm: dict[str, Any]
    #: The correction for the number of classes and pairs tested.
    correction: str
    #: The excess by the classifier's answer, most significant first.
    classes: tuple[ClassFinding, ...]
    #: The excess by what both networks answered, if they disagree; most significant first.
    pairs: tuple[PairFinding, ...]
    #: The most harmful images, highest score first.
    images: tuple[HarmfulImage, ...]
    _pixels: list[npt.NDArray[np.uint8]]
    _sheet: bytes

    def __init__(self, data: Mapping[str, Any], pixels: list[npt.NDArray[np.uint8]], sheet: bytes) -> None:
        super().__init__(data)
        object.__setattr__(self, "_pixels", pixels)
        object.__setattr__(self, "_sheet", sheet)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._data, self._pixels, self._sheet)

    @property
    def pixels(self) -> list[npt.NDArray[np.uint8]]:
        """The pixels of `images`, each uint8 (H, W, 3)."""
        return self._pixels

    @property
    def contact_sheet(self) -> bytes:
        """The most harmful images with their scores and both answers, as a PNG file; empty if there are none."""
        return self._sheet

    def _repr_html_(self) -> str:
        picture = base64.b64encode(self._sheet).decode()
        sheet = f"<img alt='the most harmful images' src='data:image/png;base64,{picture}'>" if self._sheet else ""
        classes = ((found.name, f"{found.excess_fraction}, p = {found.p_value:.2g}") for found in self.classes[:8])
        return sheet + table("excess by class", classes)


class Scores(Record):
    """The scores of many images, column by column."""

    #: float32 (N,): one score an image; larger is worse.
    scores: npt.NDArray[np.float32]
    #: uint32 (N,): the class that the classifier gives each image.
    predictions: npt.NDArray[np.uint32]
    #: float32 (N,): the probability that it gives that class.
    confidences: npt.NDArray[np.float32]
    #: float32 (N,): the calibrated probability that it is wrong, if the monitor is calibrated.
    error_probabilities: npt.NDArray[np.float32] | None
    #: The files of the images, if each is a file of its own.
    files: tuple[str, ...] | None
    #: The classes' names.
    class_names: tuple[str, ...]
    #: float32 (N, K): the probabilities of the classifier and of the distilled network, if they were asked for.
    probabilities: npt.NDArray[np.float32] | None
    distilled_probabilities: npt.NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.scores)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scores):
            return False
        pairs = [(self._data[name], other._data[name]) for name in self._data]
        return all(np.array_equal(a, b) if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) else a is b or a == b for a, b in pairs)

    def to_dict(self) -> dict[str, Any]:
        """Plain values: the arrays as lists."""
        return {name: value.tolist() if isinstance(value, np.ndarray) else copy.copy(value) for name, value in self._data.items()}

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "images", str(len(self))
        if len(self):
            yield "score", f"mean {self.scores.mean():.4g}, largest {self.scores.max():.4g}"

    def __repr__(self) -> str:
        return f"Scores({len(self)} images)"


class FitReport(Record):
    """How a fit went."""

    #: What each epoch of the training came to.
    epochs: tuple[dict[str, Any], ...]
    #: What labelled images said about the classifier's input.
    input: dict[str, Any]
    #: How a classifier from an ONNX file was checked.
    check: dict[str, Any] | None
    #: What the distilled network costs, as a share of the classifier's time.
    relative_cost: float | None
    #: Says so if the networks agree too seldom because there were few images.
    few_images: str | None


class Certificate(Record):
    """Which drops of accuracy a monitor finds in batches of which size, and how often it alarms for nothing."""

    config: dict[str, Any]
    accuracy: float
    families: tuple[str, ...]
    sizes: tuple[dict[str, Any], ...]
    cells: tuple[dict[str, Any], ...]
    streams: tuple[dict[str, Any], ...]
    _unmet: list[str]
    _page: str

    def __init__(self, data: Mapping[str, Any], unmet: list[str], page: str) -> None:
        super().__init__(data)
        object.__setattr__(self, "_unmet", unmet)
        object.__setattr__(self, "_page", page)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._data, self._unmet, self._page)

    @property
    def unmet(self) -> list[str]:
        """What was required and is not shown; empty if all is met."""
        return list(self._unmet)

    @property
    def page(self) -> str:
        """The certificate as an HTML page that needs nothing else."""
        return self._page

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "reference accuracy", f"{100 * self.accuracy:.1f} %"
        for size in self.sizes:
            least = size.get("least_detectable_drop")
            yield f"batches of {size['n']}", "no drop is found" if least is None else f"drops from {100 * least:.1f} points on are found"

    def _repr_html_(self) -> str:
        page = html.escape(self._page, quote=True)
        return f"<iframe style='width:100%;height:640px;border:0' srcdoc=\"{page}\"></iframe>"


class AuditPick(Record):
    """An image that was picked for labelling."""

    #: Its turn, from 1.
    turn: int
    #: Its place in the batch.
    image: int
    file: str
    #: The chance of this image at its turn.
    probability: float
    #: The class that the classifier gave it.
    prediction: str
    #: The class that a person gives it, or "other"; empty until then.
    label: str

    def labelled(self, label: str) -> AuditPick:
        """The same pick with its label: a class's name, or "other" if it is none of the classifier's classes."""
        return AuditPick({**self._data, "label": label})


class AuditOutcome(Record):
    """The accuracy of a batch from the labels of a few of its images, under any drift."""

    _nested = {"accuracy": Interval}

    accuracy: Interval
    #: What the calibration alone says.
    predicted: float
    n: int
    n_labelled: int
    #: The accuracy that the alarm is about.
    accepted: float
    e_value: float
    alarm: bool
