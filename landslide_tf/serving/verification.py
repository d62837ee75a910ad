"""What was written is what the Keras model computes, and runs on any server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from landslide_tf.array_types import FloatArray, IntArray, Tensor
from landslide_tf.errors import ModelError, RunError
from landslide_tf.serving.network import LOGITS, PROBABILITIES, Network
from landslide_tf.serving.safety import meta_graphs, nodes_of
from landslide_tf.serving.served_model import load
from landslide_tf.serving.versions import GRAPH_FILE

# How far the served values may be from Keras's. Sixteen-bit types: graph and eager
# execution fuse, hence round, differently.
_TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2}
_FULL_TOLERANCE = 1e-5


def refuse_foreign_operations(folder: Path) -> None:
    """Raises where a server without this process's Python could not run the graph."""
    import tensorflow as tf

    foreign = sorted(
        name
        for name in set(operations(folder))
        if "PyFunc" in name or not hasattr(tf.raw_ops, name)
    )
    if foreign:
        raise ModelError(
            "an export may hold operations of core TensorFlow only, received "
            f"{', '.join(f'`{n}`' for n in foreign)}: a layer calls Python or a custom "
            "operation; use `keras.ops`."
        )


def operations(folder: str | Path) -> Iterator[str]:
    """Yields the type of every operation in a SavedModel, its functions' included.

    Args:
        folder: The version's folder, which holds `saved_model.pb`.
    """
    for graph in meta_graphs(Path(folder) / GRAPH_FILE):
        called = {f.signature.name for f in graph.graph_def.library.function}
        yield from (node.op for node in nodes_of(graph) if node.op not in called)


class Expected:
    """What a Keras model gives for a random batch.

    Args:
        network: The model.

    Raises:
        ModelError: If its lone output is no probability.
        RunError: If an output is not finite.
    """

    def __init__(self, network: Network) -> None:
        self._name = network.name
        self._inputs = network.random_inputs()
        self._values = compiled_outputs(network, self._inputs)
        types = network.compute_dtypes
        self._tolerance = max(
            (_TOLERANCE.get(t, _FULL_TOLERANCE) for t in types), default=0.0
        )
        for name, values in self._values.items():
            if not np.isfinite(values).all():
                raise RunError(
                    f"output `{name}` of `{network.name}` must be finite, received NaN "
                    "or infinity on a random batch: its weights are broken; train it "
                    "again."
                )
        if list(self._values) == [PROBABILITIES]:
            values = self._values[PROBABILITIES]
            if values.min() < -_FULL_TOLERANCE or values.max() > 1 + _FULL_TOLERANCE:
                raise ModelError(
                    f"the output of `{network.name}` must be probabilities, received "
                    f"values from {values.min():.3g} to {values.max():.3g}: name the "
                    f"output layer `{LOGITS}` and export adds the softmax."
                )

    def is_served_by(self, folder: Path) -> bool:
        """Whether the written model gives these values."""
        return all(off <= self._tolerance for off in self._off(folder).values())

    def check(self, folder: Path) -> None:
        """Raises `RunError` unless the written model gives these values."""
        for name, off in self._off(folder).items():
            if off > self._tolerance:
                raise RunError(
                    f"output `{name}` of the written model must equal that of "
                    f"`{self._name}` to {self._tolerance:g}, received {off:.3g} on a "
                    "random batch: a layer computes otherwise where sizes are unknown; "
                    "nothing was exported."
                )

    def _off(self, folder: Path) -> dict[str, float]:
        """Returns how far each output is off, as a share of its largest value."""
        served = load(folder)(self._inputs)
        found = {}
        for name, wanted in self._values.items():
            scale = max(1.0, float(np.abs(wanted).max()))
            same = served[name].shape == wanted.shape
            off = float(np.abs(served[name] - wanted).max()) if same else np.inf
            found[name] = off / scale
        return found


def compiled_outputs(
    network: Network, inputs: Mapping[str, FloatArray | IntArray]
) -> dict[str, FloatArray]:
    """Runs the model as `predict` does, compiled for this very size.

    Not layer by layer: large logits then differ by rounding alone by more than the
    tolerance, and neither training nor prediction runs so.
    """
    import tensorflow as tf

    @tf.function(autograph=False)
    def run(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return network(tensors)

    tensors = {name: tf.constant(array) for name, array in inputs.items()}
    outputs = run.get_concrete_function(tensors)(tensors)
    return {name: np.asarray(value) for name, value in outputs.items()}
