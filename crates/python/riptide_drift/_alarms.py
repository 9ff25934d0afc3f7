"""What goes on over several batches, or over several labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from . import _riptide
from ._arrays import Images, source_of
from ._records import Outcome
from ._reports import AuditOutcome, AuditPick
from ._riptide import Error


class SequentialMonitor:
    """An alarm over batch after batch; made by :meth:`Monitor.sequential`."""

    def __init__(self, monitor: _riptide.Monitor, state: Mapping[str, Any] | None = None) -> None:
        self._monitor = monitor
        self._alarm = monitor.alarm()
        self._n_images = 0
        if state is not None:
            alarm = _riptide.Alarm.from_state(state.get("test"))
            if state.get("calibration") != self._calibration() or not alarm.is_like(self._alarm):
                raise Error("the state belongs to another monitor, tolerated drop or level; begin a new alarm")
            self._alarm = alarm

    def _calibration(self) -> Any:
        return self._monitor.facts["calibration"]["model"]

    def update(
        self,
        images: Images,
        *,
        probabilities: npt.ArrayLike | None = None,
        layout: str | None = None,
        value_range: str | None = None,
    ) -> Outcome:
        """Tests the next batch; `Outcome.sequential` tells the alarm over all batches so far."""
        source = source_of(images, probabilities=probabilities, layout=layout, value_range=value_range)
        batch = self._alarm.n_batches
        found, alarm = self._monitor.detect(source, None, self._alarm, None)
        if alarm is None:
            raise Error("the monitor is not calibrated")
        outcome = Outcome({**found[0], "batch": batch, "first_image": self._n_images})
        self._alarm, self._n_images = alarm, self._n_images + outcome.n_images
        return outcome

    @property
    def alarm(self) -> bool:
        """Whether the evidence has ever reached 1 / level."""
        return self._alarm.alarm

    @property
    def e_value(self) -> float:
        """The evidence that the accuracy is below what is tolerated."""
        return self._alarm.e_value

    @property
    def alarm_after(self) -> int | None:
        """The number of batches after which it first alarmed."""
        return self._alarm.alarm_after

    @property
    def n_batches(self) -> int:
        """Number of batches so far."""
        return self._alarm.n_batches

    def state(self) -> dict[str, Any]:
        """Everything that it is, for ``json.dump`` and :meth:`Monitor.sequential`."""
        return {"calibration": self._calibration(), "test": self._alarm.state()}

    def __repr__(self) -> str:
        return f"SequentialMonitor({self.n_batches} batches, e-value {self.e_value:.4g}, {'alarm' if self.alarm else 'no alarm'})"


class Audit:
    """A batch that is audited; made by :meth:`Monitor.audit`."""

    def __init__(self, inner: _riptide.Audit) -> None:
        self._inner = inner

    def __len__(self) -> int:
        return len(self._inner)

    def pick(self, m: int, seed: int = 0) -> list[AuditPick]:
        """Picks `m` different images at random, those more often about which the calibration is uncertain."""
        return [AuditPick(pick) for pick in self._inner.pick(m, seed)]

    def update(self, picks: Sequence[AuditPick], accepted: float | None = None) -> AuditOutcome:
        """The accuracy from the labels of the first picks.

        :param accepted: the accuracy that the alarm is about; by default the reference's less the tolerated drop.
        """
        return AuditOutcome(self._inner.update([pick.to_dict() for pick in picks], accepted))

    def __repr__(self) -> str:
        return f"Audit({len(self)} images)"
