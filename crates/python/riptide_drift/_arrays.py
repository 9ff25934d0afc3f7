"""From whatever holds images to what the extension reads."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from . import _riptide
from ._riptide import Error

#: Arrays (N, H, W, 3), (N, 3, H, W), (N, H, W, 1), (N, 1, H, W) or (N, H, W), of uint8 or floating-point numbers; paths; iterables over
#: such arrays, or over pairs of an array and labels.
Images: TypeAlias = "npt.ArrayLike | str | os.PathLike[str] | Iterable[Any]"

#: Takes images uint8 (n, H, W, 3) and gives class probabilities (n, K).
Function: TypeAlias = Callable[[npt.NDArray[np.uint8]], Any]


def as_numpy(values: Any) -> npt.NDArray[Any]:
    """An array of numpy's, without a copy if the values are in memory already."""
    if isinstance(values, np.ndarray):
        return values
    if hasattr(values, "detach") and hasattr(values, "cpu"):
        # A tensor of torch's may hang on a graph or lie on a GPU.
        values = values.detach().cpu()
    if hasattr(values, "to_numpy_ndarray"):
        # pyarrow's FixedShapeTensorArray.
        return cast("npt.NDArray[Any]", values.to_numpy_ndarray())
    if not hasattr(values, "__array__") and hasattr(values, "__dlpack__"):
        return np.from_dlpack(values)
    return np.asarray(values)


def is_path(images: object) -> bool:
    """Whether this is opened rather than read."""
    return isinstance(images, (str, os.PathLike))


def is_array(images: object) -> bool:
    """Whether this is one array, and not an iterable over several."""
    if isinstance(images, (list, tuple)):
        return True
    return hasattr(images, "__array__") or hasattr(images, "__dlpack__") or hasattr(images, "to_numpy_ndarray")


def labels_of(labels: Any) -> list[int] | None:
    """Labels as the extension takes them: integers from 0."""
    if labels is None:
        return None
    given = as_numpy(labels)
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise Error(f"labels: an array of dtype {given.dtype} and shape {given.shape}; they must be integers (N,), from 0")
    if given.size and (int(given.min()) < 0 or int(given.max()) > 0xFFFF_FFFF):
        raise Error("labels: some are negative, or too large; they must be the places of classes among the classifier's outputs, from 0")
    return cast("list[int]", given.tolist())


def rows_of(probabilities: Any, name: str = "probabilities") -> npt.NDArray[np.float32] | None:
    """Rows of class probabilities, float32 (N, K) in C order."""
    if probabilities is None:
        return None
    rows = as_numpy(probabilities)
    if rows.ndim != 2 or rows.dtype.kind not in "fiu":
        raise Error(f"{name}: an array of dtype {rows.dtype} and shape {rows.shape}; they must be numbers (N, classes)")
    return np.ascontiguousarray(rows, dtype=np.float32)


def numbers_of(values: Any, name: str) -> npt.NDArray[np.float64]:
    """Numbers float64 (N,)."""
    given = np.asarray(as_numpy(values), dtype=np.float64)
    if given.ndim != 1:
        raise Error(f"{name}: an array of shape {given.shape}; it must be (N,)")
    return np.ascontiguousarray(given)


def source_of(
    images: Any,
    *,
    name: str = "images",
    labels: Any = None,
    probabilities: Any = None,
    layout: str | None = None,
    value_range: str | None = None,
    size: tuple[int, int] | None = None,
    columns: Sequence[str] = (),
    skip_unreadable: bool = False,
    n_classes: int | None = None,
) -> _riptide.Source:
    """Images for the extension. `n_classes` is how many classes the labels of an iterable's batches may name."""
    if isinstance(images, _riptide.Source):
        return images
    options = {"layout": layout, "range": value_range}
    given = labels_of(labels)
    rows = rows_of(probabilities)
    if is_path(images):
        framing = {"stretch": {"height": size[0], "width": size[1]}} if size else None
        return _riptide.Source.path(
            os.fspath(images),
            framing=framing,
            options=options,
            columns=list(columns),
            skip_unreadable=skip_unreadable,
            labels=given,
            probabilities=rows,
        )
    if is_array(images):
        return _array(images, name, options, given, rows)
    if not isinstance(images, Iterable):
        raise TypeError(f"{name}: {type(images).__name__} is no array, no path and no iterable over arrays")
    if given is not None or rows is not None:
        raise Error(f"{name}: an iterable brings its labels along, as pairs (images, labels); labels and probabilities are for arrays and paths")
    return _riptide.Source.iterator(_arrays(iter(images), name, options), name=name, n_classes=n_classes)


def _array(
    images: Any,
    name: str,
    options: Mapping[str, str | None],
    labels: list[int] | None,
    rows: npt.NDArray[np.float32] | None,
) -> _riptide.Source:
    array = np.ascontiguousarray(as_numpy(images))
    for what, given in (("labels", labels), ("rows of probabilities", rows)):
        if given is not None and array.ndim > 0 and len(given) != len(array):
            raise Error(f"{name}: {len(array)} images, but {len(given)} {what}")
    return _riptide.Source.array(
        array.reshape(-1).view(np.uint8) if array.dtype.kind in "uif" else np.empty(0, np.uint8),
        array.dtype.str,
        list(array.shape),
        name=name,
        options=dict(options),
        labels=labels,
        probabilities=rows,
    )


def _arrays(batches: Iterator[Any], name: str, options: Mapping[str, str | None]) -> Iterator[_riptide.Source]:
    for number, batch in enumerate(batches):
        if isinstance(batch, _riptide.Source):
            yield batch
            continue
        labels = None
        if isinstance(batch, (list, tuple)):
            if len(batch) not in (1, 2):
                raise Error(f"{name}, batch {number}: {len(batch)} values; it must be an array, or a pair of an array and labels")
            if len(batch) == 2:
                labels = labels_of(batch[1])
            batch = batch[0]
        yield _array(batch, f"{name}, batch {number}", options, labels, None)


def peeked(images: Any, *, name: str, **options: Any) -> tuple[npt.NDArray[np.uint8], Callable[[int], _riptide.Source]]:
    """The first images uint8 (n, H, W, 3), for whoever has to know their size or to ask a classifier once; and, once the number of classes is
    known, the source of all images."""
    few = 8
    if isinstance(images, Iterable) and not is_path(images) and not is_array(images):
        arrays = {"layout": options.get("layout"), "range": options.get("value_range")}
        batches = _arrays(iter(images), name, arrays)
        first = next(batches, None)
        if first is None:
            raise Error(f"{name}: no images")
        return first.head(few), lambda n_classes: source_of(itertools.chain([first], batches), name=name, n_classes=n_classes)
    source = source_of(images, name=name, **options)
    return source.head(few), lambda _: source


class Asked:
    """A function whose answers are made float32 (n, K) in C order. Its first answers tell how many classes there are."""

    def __init__(self, function: Function) -> None:
        self.function = function

    def __call__(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        rows = as_numpy(self.function(images))
        if rows.ndim != 2 or len(rows) != len(images):
            raise ValueError(
                f"the classifier gave an array of shape {rows.shape} for {len(images)} images; it must be ({len(images)}, classes)"
            )
        return np.ascontiguousarray(rows, dtype=np.float32)
