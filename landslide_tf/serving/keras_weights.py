"""A network of this package as its weights and `model.json`, for Keras.

Apart from `portable`, whose files other runtimes run. Keras is imported where it is
needed: models are served without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from landslide_tf.choices import Precision
from landslide_tf.errors import ModelError, RunError
from landslide_tf.serving.assets import write_descriptions
from landslide_tf.serving.conversion import Arrays
from landslide_tf.serving.network import Network
from landslide_tf.serving.verification import compiled_outputs
from landslide_tf.serving.versions import WEIGHTS_FILE

# How far the values of the written weights may be from those of the network.
_TOLERANCE: dict[Precision, float] = {"float32": 1e-5, "float16": 0.1}


def check_weights(
    network: Network,
    precision: Precision,
    size: tuple[int, int] | None,
    calibration: Sequence[Arrays],
) -> None:
    """Refuses what cannot be written as weights, before anything is.

    Args:
        network: What is exported.
        precision: Of the weights.
        size: Has no meaning for weights.
        calibration: Has no meaning for weights.

    Raises:
        ModelError: If `models` has no such network, or an option does not fit.
    """
    from landslide_tf.models.registry import get

    get(network.metadata.builder)
    if precision not in _TOLERANCE or size is not None or len(calibration):
        raise ModelError(
            "Weights are stored in float32 or float16 and fit any size: other values "
            "of `precision`, `size` and `calibration` are for other formats."
        )


def write_weights(network: Network, folder: Path, precision: Precision) -> None:
    """Writes weights, `model.json`, a model card and a STAC item.

    Args:
        network: What is exported.
        folder: An existing folder.
        precision: Of the weights.

    Raises:
        ModelError: If a weight does not fit the precision.
        RunError: If a network built from the files does not give these values.
    """
    from landslide_tf.models.registry import build_described
    from landslide_tf.models.weight_files import save_weights

    path = folder / WEIGHTS_FILE
    save_weights(network.model, path, precision)
    network.metadata.write(folder)
    write_descriptions(network, "weights", folder)
    written = Network(build_described(network.metadata, path), network.metadata)
    inputs = network.random_inputs()
    found = compiled_outputs(written, inputs)
    for name, wanted in compiled_outputs(network, inputs).items():
        off = float(np.abs(found[name] - wanted).max())
        if not off <= _TOLERANCE[precision]:
            raise RunError(
                f"output `{name}` of the written weights must equal that of "
                f"`{network.name}` to {_TOLERANCE[precision]:g}, received {off:.3g} on "
                "a random batch: nothing was exported."
            )
