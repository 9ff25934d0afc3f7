"""The training steps of training.py in TensorFlow: a process of its own, for PyTorch's optimizers and TensorFlow each bring an LLVM, and two do not fit one process."""

from lines import serve
from training import TensorFlow, answer

serve({"TensorFlow": TensorFlow}, answer)
