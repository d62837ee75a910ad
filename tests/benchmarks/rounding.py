"""How far training a U-Net on two devices comes from one, and one from itself.

    export KERAS_BACKEND=jax XLA_FLAGS=--xla_force_host_platform_device_count=2
    python -m tests.benchmarks.rounding [--optimizer adam] [--cases permuted-1 ulp-1]

A U-Net with batch normalisation is trained from the same weights on the same batches of
made-up tiles, for three epochs of six steps. `permuted-1`, … are trainings on one
device in which only the order of the tiles within each batch is another; in `ulp-1`, …
each weight is changed by at most one unit in its last place. All of them are the same
function as `one` but for the rounding of float32. The last line is JSON: by case the
relative difference of the first step's loss and gradient from those of `one`, and the
differences of the losses after each epoch.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import keras
import numpy as np

from landslide_tf import models
from landslide_tf.losses import SegmentationCrossEntropy
from landslide_tf.train.run.devices import computed_together

BATCH, STEPS, EPOCHS = 4, 6, 3
RATE = 0.003
# The first step's change of a weight is the gradient times this, exactly; it is so
# large that the weight's own digits are lost, not those of the gradient.
LEAP = 2.0**20
Tiles = tuple[np.ndarray, np.ndarray]


def tiles(seed: int, count: int) -> Tiles:
    """Returns images (count, 32, 32, 3) in 0..255 and their classes."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 255, (count, 32, 32, 3)).astype(np.float32)
    return images, (images.mean(-1) > 130).astype(np.int32)


class Layout:
    """The network, compiled once for one device or for two."""

    def __init__(self, devices: int, optimizer: str) -> None:
        self.devices = devices
        with computed_together(devices):
            keras.utils.set_random_seed(0)
            self.model = models.unet(2, width=0.0625, classifier_activation=None)
            chosen = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}
            self.model.compile(chosen[optimizer](RATE), SegmentationCrossEntropy())
            self.model.optimizer.build(self.model.trainable_variables)
            self._variables = [*self.model.variables, *self.model.optimizer.variables]
            self._start = [np.array(v) for v in self._variables]

    def train(self, case: str) -> dict[str, list[float]]:
        """Trains from the start and returns the losses by epoch."""
        with computed_together(self.devices):
            data = self._begin(case)
            history = self.model.fit(
                *data,
                batch_size=BATCH,
                shuffle=False,
                epochs=EPOCHS,
                validation_data=tiles(2, 2 * BATCH),
                validation_batch_size=BATCH,
                verbose=0,
            )
        return history.history

    def first_step(self, case: str) -> tuple[float, np.ndarray]:
        """Returns the loss of the first step and its gradient, flat (SGD)."""
        with computed_together(self.devices):
            images, classes = self._begin(case)
            self.model.optimizer.learning_rate = LEAP
            before = self._weights()
            history = self.model.fit(
                images[:BATCH],
                classes[:BATCH],
                batch_size=BATCH,
                shuffle=False,
                verbose=0,
            )
            return history.history["loss"][0], (before - self._weights()) / LEAP

    def _weights(self) -> np.ndarray:
        values = [np.ravel(np.array(v)) for v in self.model.trainable_variables]
        return np.concatenate(values).astype(np.float64)

    def _begin(self, case: str) -> Tiles:
        for variable, value in zip(self._variables, self._start, strict=True):
            variable.assign(value)
        images, classes = tiles(1, STEPS * BATCH)
        kind, _, seed = case.partition("-")
        rng = np.random.default_rng(int(seed or 0))
        if kind == "permuted":
            within = [k * BATCH + rng.permutation(BATCH) for k in range(STEPS)]
            order = np.concatenate(within)
            images, classes = images[order], classes[order]
        elif kind == "ulp":
            for variable in self.model.trainable_variables:
                value = np.array(variable)
                towards = rng.choice([-np.inf, np.inf], value.shape)
                variable.assign(np.nextafter(value, towards, dtype=np.float32))
        return images, classes


def apart(cases: Sequence[str], optimizer: str) -> dict[str, dict[str, object]]:
    """Returns the differences of each case from one device, by case."""
    one = Layout(1, optimizer)
    runs = dict.fromkeys(("one", *cases), one) | {"two": Layout(2, optimizer)}
    found: dict[str, dict[str, object]] = {case: {} for case in runs}
    if optimizer == "sgd":
        steps = {case: layout.first_step(case) for case, layout in runs.items()}
        loss, gradient = steps["one"]
        for case, (its, other) in steps.items():
            size = np.linalg.norm(other - gradient) / np.linalg.norm(gradient)
            found[case] = {"loss": abs(its - loss) / loss, "gradient": float(size)}
    losses = {case: layout.train(case) for case, layout in runs.items()}
    for case, history in losses.items():
        for name, values in history.items():
            pairs = zip(values, losses["one"][name], strict=True)
            found[case][f"{name} by epoch"] = [abs(a - b) for a, b in pairs]
    return found


def main() -> None:
    """Prints the differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--optimizer", choices=("sgd", "adam"), default="sgd")
    parser.add_argument("--cases", nargs="*", default=["permuted-1", "ulp-1"])
    given = parser.parse_args()
    print(json.dumps(apart(given.cases, given.optimizer)))


if __name__ == "__main__":
    main()
