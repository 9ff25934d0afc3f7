"""The options of a monitor, as keywords with types."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeAlias, TypedDict

#: Whether, and how, a monitor is calibrated: options are `n_images`, `families`, `views`, `target`, `required`, `seed`, `checkpoint`.
Calibration: TypeAlias = "bool | Mapping[str, Any]"


class JudgeOptions(TypedDict, total=False):
    """How scores are judged; they can be changed at any time by :meth:`Monitor.with_options`."""

    #: The significance level, strictly between 0 and 1; 0.05 by default.
    level: float
    #: What counts as drift of the scores: "two-sided" (default), "greater" (worse) or "less".
    alternative: str
    #: The drop of accuracy that is accepted, 0 up to 1; 0.05 by default.
    tolerated_drop: float
    #: The level of the alarm over a sequence of batches; 0.01 by default.
    sequential_level: float
    #: The least excess fraction that counts as harm; 0.1 by default.
    least_excess_fraction: float
    #: Confidence level of intervals; 0.95 by default.
    confidence: float
    #: The one quantile of the reference's scores at which the excess fraction is read.
    quantile: float | None
    #: The percentile of the reference's scores above which a single image is flagged; 99 by default.
    percentile: float
    #: The score above which a single image is flagged, if it is not to be the percentile's.
    threshold: float | None


class FitOptions(JudgeOptions, total=False):
    """How a network is distilled."""

    n_reference: int
    n_validation: int | None
    n_held_out: int
    epochs: int | None
    best_epoch: bool | None
    batch_size: int
    learning_rate: float
    temperature: float
    #: "none", "flip", "shift-flip", "jitter-flip".
    augmentation: str | None
    patience: int | None
    filters: int | None
    conv_layers: int | None
    dense: int | None
    shrink: int | None
    seed: int
    force: bool
    checkpoint: str | os.PathLike[str] | None


#: The options that say how scores are judged; the others say how a network is distilled.
JUDGE = frozenset(JudgeOptions.__annotations__)


def calibration_options(
    calibration: Calibration, has_labels: bool, seed: int, checkpoint: str | os.PathLike[str] | None
) -> dict[str, Any] | None:
    """A calibration as the extension takes it. As for the command, what is named is required."""
    if calibration is False:
        return None
    given: dict[str, Any] = {"seed": seed}
    if checkpoint is not None:
        given["checkpoint"] = os.path.join(checkpoint, "calibration")
    if has_labels:
        given.update(target="errors", required=True)
    if isinstance(calibration, Mapping):
        given.update({"required": True, **calibration})
    return given
