"""Makes notebooks of the examples beside this file and executes them: `pip install jupytext nbconvert ipykernel matplotlib`, then this."""

import sys
from pathlib import Path

import jupytext
from nbconvert.preprocessors import ExecutePreprocessor
import nbformat

here = Path(__file__).resolve().parent
for source in sorted(here.glob("*.py")):
    if source == Path(__file__).resolve():
        continue
    notebook = jupytext.read(source)
    ExecutePreprocessor(timeout=600).preprocess(notebook, {"metadata": {"path": str(here)}})
    out = Path(sys.argv[1] if len(sys.argv) > 1 else here) / source.with_suffix(".ipynb").name
    nbformat.write(notebook, out)
    print(out)
