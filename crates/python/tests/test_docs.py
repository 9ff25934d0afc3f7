"""The guide: its code runs, from its first line to its last."""

import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parents[3] / "docs/python.md"


def test_the_guide_runs(tmp_path, monkeypatch):
    for needed in ("torch", "sklearn", "onnx", "onnxruntime"):
        pytest.importorskip(needed)
    monkeypatch.chdir(tmp_path)
    text = GUIDE.read_text(encoding="utf-8")
    blocks = list(re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    assert len(blocks) > 10
    names = {"__name__": "guide"}
    for block in blocks:
        # Lines of a traceback are those of the guide.
        before = "\n" * text.count("\n", 0, block.start(1))
        exec(compile(before + block.group(1), str(GUIDE), "exec"), names)
    assert (tmp_path / "most-harmful.png").read_bytes().startswith(b"\x89PNG")
