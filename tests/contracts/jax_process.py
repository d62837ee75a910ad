"""The environment of a process that runs Keras on JAX where TensorFlow is absent."""

import os
from pathlib import Path

ABSENT = Path(__file__).parents[1] / "train" / "without_tensorflow"

ON_JAX = {
    **os.environ,
    "KERAS_BACKEND": "jax",
    "PYTHONPATH": str(ABSENT),
    # Small networks compile for longer than they run.
    "XLA_FLAGS": "--xla_backend_optimization_level=0 "
    "--xla_llvm_disable_expensive_passes=true",
}
