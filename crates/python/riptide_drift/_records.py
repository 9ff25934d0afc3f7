"""What is found out, as objects that do not change: attributes, ``to_dict()``, a repr and a table in notebooks."""

from __future__ import annotations

import copy
import html
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, TypeVar

R = TypeVar("R", bound="Record")


class Record:
    """The base of everything that is found out. Its attributes cannot be set; ``to_dict()`` gives plain values that JSON can hold."""

    #: Attributes that are records themselves, or lists of such.
    _nested: ClassVar[Mapping[str, type[Record]]] = {}
    _data: dict[str, Any]

    def __init__(self, data: Mapping[str, Any]) -> None:
        values = dict(data)
        object.__setattr__(self, "_data", values)
        for name in self._names():
            values.setdefault(name, None)
        for name, value in values.items():
            record = self._nested.get(name)
            if record is not None and isinstance(value, Mapping):
                value = record(value)
            elif record is not None and isinstance(value, list):
                value = tuple(record(each) for each in value)
            elif isinstance(value, list):
                value = tuple(value)
            object.__setattr__(self, name, value)

    @classmethod
    def _names(cls) -> Iterator[str]:
        for kind in reversed(cls.__mro__):
            for name in vars(kind).get("__annotations__", {}):
                if not name.startswith("_"):
                    yield name

    def to_dict(self) -> dict[str, Any]:
        """Plain values: dicts, lists, numbers, strings."""
        return copy.deepcopy(self._data)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Record) and self._data == other._data

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._data,)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._data)
        return f"{type(self).__name__}({shown})"

    def _rows(self) -> Iterator[tuple[str, str]]:
        for name in self._data:
            value = getattr(self, name)
            if value is not None:
                yield name.replace("_", " "), _shown(value)

    def _repr_html_(self) -> str:
        return table(type(self).__name__, self._rows())


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple):
        return f"{len(value)} of them" if len(value) > 4 else ", ".join(_shown(each) for each in value)
    return str(value)


def table(title: str, rows: Iterator[tuple[str, str]]) -> str:
    cells = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th><td style='text-align:left'>{html.escape(value)}</td></tr>"
        for name, value in rows
    )
    return f"<table><caption>{html.escape(title)}</caption>{cells}</table>"


class Interval(Record):
    """A figure with its interval."""

    #: The figure.
    estimate: float
    #: Its lower bound.
    lower: float
    #: Its upper bound.
    upper: float

    def __str__(self) -> str:
        return f"{self.estimate:.4g} ({self.lower:.4g} to {self.upper:.4g})"


class ConfidenceTest(Record):
    """A test of whether something has fallen."""

    #: The p-value of its not having fallen.
    p_value: float
    #: Whether that is below the level.
    is_significant: bool


class Accuracy(Record):
    """The accuracy of a batch, estimated without labels."""

    _nested = {"drop": Interval, "fallen": ConfidenceTest}

    #: The estimate, 0 to 1, and its interval.
    estimate: float
    lower: float
    upper: float
    #: The accuracy on the reference.
    reference: float
    #: By how much the batch's accuracy is below the reference's; negative if it is above.
    drop: Interval
    #: The drop that is accepted.
    tolerated_drop: float
    #: What these figures rest on; "B": that the drift is like the declared families of corruptions.
    assumption: str
    #: "errors": accuracy is the share of right answers; "flips": of answers that are as they would be on the clean image.
    target: str
    #: The p-value of "the accuracy fell by no more than is tolerated".
    p_value: float
    #: Whether the accuracy has fallen at all.
    fallen: ConfidenceTest
    #: How many images would decide, if the batch is undecided.
    n_needed: int | None

    def __str__(self) -> str:
        return f"{100 * self.estimate:.1f} % ({100 * self.lower:.1f} to {100 * self.upper:.1f} %; reference {100 * self.reference:.1f} %)"


class Sequential(Record):
    """The alarm over a sequence of batches."""

    #: The evidence that the accuracy is below what is tolerated: at most 1 on average if it is not, however long the sequence.
    e_value: float
    #: Whether the evidence has reached 1 / level, in this batch or before.
    alarm: bool
    #: The number of batches after which it first did.
    alarm_after: int | None


class Window(Record):
    """Which images a batch is of."""

    #: The value of the grouping column.
    group: str | None
    #: The beginning of the span of time, in RFC 3339.
    start: str | None
    #: Its end, which belongs to the next span.
    end: str | None

    def __str__(self) -> str:
        return " ".join(part for part in (self.start, self.group) if part)


class Outcome(Record):
    """What was found out about a batch."""

    _nested = {
        "window": Window,
        "accuracy": Accuracy,
        "sequential": Sequential,
        "confidence": ConfidenceTest,
        "excess_fraction": Interval,
    }

    #: The batch's number, from 0.
    batch: int
    #: The place of its first image among all.
    first_image: int
    #: Which images it is of, if batches are windows.
    window: Window | None
    #: Number of images.
    n_images: int
    #: "harmful", "fit", "undecided" or "outside" (what was declared), if the monitor is calibrated.
    verdict: str | None
    #: The estimated accuracy, if the monitor is calibrated and the batch lies within what was declared.
    accuracy: Accuracy | None
    #: Why the batch lies outside what was declared, if it does.
    outside: str | None
    #: The alarm over all batches up to this one.
    sequential: Sequential | None
    #: Of a monitor without calibration: whether the classifier is less certain than on the reference.
    confidence: ConfidenceTest | None
    #: Whether the scores differ from the reference's: whether `p_value` is below `level`.
    is_drift: bool
    #: The p-value of the two-sample Kolmogorov-Smirnov test of the scores.
    p_value: float
    #: The test's statistic.
    distance: float
    #: The significance level.
    level: float
    #: What counts as drift of the scores: "two-sided", "less" or "greater".
    alternative: str
    #: Whether the scores are significantly larger than the reference's, and the excess fraction reaches the least one.
    is_harmful: bool
    #: The p-value of the one-sided test behind `is_harmful`.
    harm_p_value: float
    #: A lower bound of the fraction of images in excess of the reference, with its interval.
    excess_fraction: Interval

    @property
    def is_alarming(self) -> bool:
        """Whether someone should look: the verdict is harmful, or the batch lies outside what was declared. Without a calibration: whether
        the batch is harmful by its scores, or the classifier is significantly less certain."""
        if self.verdict is not None:
            return self.verdict in ("harmful", "outside")
        return self.is_harmful or (self.confidence is not None and self.confidence.is_significant)

    def _repr_html_(self) -> str:
        return table(f"batch {self.batch}: {self.verdict or ('drift' if self.is_drift else 'no drift')}", self._rows())


class Decision(Record):
    """What was found out about one image."""

    #: The image's place among all.
    index: int
    #: Its file, if each image is a file of its own.
    file: str | None
    #: Whether its score is above the threshold.
    flagged: bool
    #: Its score.
    score: float
    #: The score above which an image is flagged.
    threshold: float
    #: The class that the classifier gives it, and its name.
    prediction: int
    class_name: str
    #: The calibrated probability that the classifier is wrong, if the monitor is calibrated.
    error_probability: float | None

    def __init__(self, data: Mapping[str, Any]) -> None:
        values = dict(data)
        if "class" in values:
            # A word of Python's own.
            values["class_name"] = values.pop("class")
        super().__init__(values)
