"""Progress of long tasks: a line on the terminal, tqdm in a notebook, or a function of the caller's."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from typing import Any, TypeAlias

#: ``None`` shows progress if standard error is a terminal or this is a notebook; ``True`` and ``False`` say so. A function is
#: called with the task, the number of images that are done, and the number of all of them (``None`` if that is not known).
ProgressOption: TypeAlias = "bool | Callable[[str, int, int | None], object] | None"


class _Told:
    """What the extension tells of progress."""

    def __init__(self) -> None:
        self.task = ""
        self.done = 0
        self.total: int | None = None

    def begin(self, task: str, total: int | None) -> None:
        self.task, self.done, self.total = task, 0, total

    def extend(self, n: int) -> None:
        if self.total is not None:
            self.total += n

    def advance(self, n: int) -> None:
        self.done += n

    def message(self, text: str) -> None:
        pass

    def end(self) -> None:
        pass


class _Function(_Told):
    def __init__(self, function: Callable[[str, int, int | None], object]) -> None:
        super().__init__()
        self._function = function

    def begin(self, task: str, total: int | None) -> None:
        super().begin(task, total)
        self._function(task, 0, total)

    def advance(self, n: int) -> None:
        super().advance(n)
        self._function(self.task, self.done, self.total)


class _Line(_Told):
    """One line on standard error, written over."""

    def __init__(self) -> None:
        super().__init__()
        self._text = ""
        self._began = 0.0

    def begin(self, task: str, total: int | None) -> None:
        super().begin(task, total)
        self._text, self._began = "", time.monotonic()
        self._write()

    def advance(self, n: int) -> None:
        super().advance(n)
        self._write()

    def message(self, text: str) -> None:
        self._text = text

    def end(self) -> None:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()

    def _write(self) -> None:
        of = "" if self.total is None else f" of {self.total:,}"
        rate = self.done / max(time.monotonic() - self._began, 1e-9)
        text = f", {self._text}" if self._text else ""
        sys.stderr.write(f"\r\x1b[K{self.task}{text}: {self.done:,}{of} images, {rate:,.0f}/s")
        sys.stderr.flush()


class _Tqdm(_Told):
    def __init__(self, tqdm: Any) -> None:
        super().__init__()
        self._tqdm = tqdm
        self._bar: Any = None

    def begin(self, task: str, total: int | None) -> None:
        super().begin(task, total)
        self.end()
        self._bar = self._tqdm(total=total, desc=task, unit=" images", leave=False)

    def advance(self, n: int) -> None:
        super().advance(n)
        self._bar.update(n)

    def message(self, text: str) -> None:
        self._bar.set_description(f"{self.task}: {text}", refresh=False)

    def end(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    if shell is None:
        return False
    running = shell.get_ipython()
    return running is not None and type(running).__name__ == "ZMQInteractiveShell"


def told(progress: ProgressOption) -> _Told | None:
    """What the extension is to tell, if anything."""
    if callable(progress):
        return _Function(progress)
    if progress is None:
        progress = _in_notebook() or bool(sys.stderr and sys.stderr.isatty())
    if not progress:
        return None
    if _in_notebook():
        try:
            return _Tqdm(importlib.import_module("tqdm.auto").tqdm)
        except ImportError:
            return _Line()
    return _Line()
