"""How far training a U-Net on two devices comes from one, and one from itself.

    export KERAS_BACKEND=jax XLA_FLAGS=--xla_force_host_platform_device_count=2
    python -m tests.benchmarks.rounding [--optimizer adam] [--cases permuted-1 ulp-1] \
        [--smooth]

A U-Net with batch normalisation is trained from the same weights on the same batches of
made-up tiles, for three epochs of six steps. `permuted-1`, … are trainings on one
device in which only the order of the tiles within each batch is another; in `ulp-1`, …
each weight is changed by at most one unit in its last place. All of them are the same
function as `one` but for the rounding of float32. `float64 one` and `float64 two` are
`one` and `two` in float64: what is still apart there is no rounding of float32.
`--smooth` takes softplus for ReLU and the average for the largest of a pool, so that
no rounding decides which way a gradient goes.

The last line is JSON: by case the relative difference of the first step's loss and
gradient from those of `one` and of `float64 one` (SGD only), and the differences from
`one` (`float64 two`: from `float64 one`) of the losses after each epoch and of the
weights after the last.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias

import keras
import numpy as np

from landslide_tf import models
from landslide_tf.losses import SegmentationCrossEntropy
from landslide_tf.train.run.devices import computed_together
from tests.contracts.float64 import in_float64

BATCH, STEPS, EPOCHS = 4, 6, 3
RATE = 0.003
# The first step's change of a weight is the gradient times this, exactly; it is so
# large that the weight's own digits are lost, not those of the gradient.
LEAP = 2.0**20
Tiles: TypeAlias = tuple[np.ndarray, np.ndarray]
Precision: TypeAlias = Literal["float32", "float64"]
REFERENCE = "float64 one"


def tiles(seed: int, count: int) -> Tiles:
    """Returns images (count, 32, 32, 3) in 0..255 and their classes."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 255, (count, 32, 32, 3)).astype(np.float32)
    return images, (images.mean(-1) > 130).astype(np.int32)


class Layout:
    """The network, compiled once for one device or for two."""

    def __init__(
        self,
        devices: int,
        optimizer: str,
        smooth: bool,
        precision: Precision = "float32",
    ) -> None:
        self.devices = devices
        self.precision = precision
        keras.utils.set_random_seed(0)
        narrow = models.unet(2, width=0.0625, classifier_activation=None)
        with self._computed():
            # Some layers are float32 under every policy: a policy is not enough.
            text = narrow.to_json().replace("float32", precision)
            described = json.loads(text)
            if smooth:
                _smooth(described)
            self.model = keras.models.model_from_json(json.dumps(described))
            self.model.set_weights(narrow.get_weights())
            chosen = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}
            # As a function, because a loss of the package computes in float32.
            self.model.compile(chosen[optimizer](RATE), SegmentationCrossEntropy().call)
            self.model.optimizer.build(self.model.trainable_variables)
            self._variables = [*self.model.variables, *self.model.optimizer.variables]
            self._start = [np.array(v) for v in self._variables]

    def train(self, case: str) -> tuple[dict[str, list[float]], np.ndarray]:
        """Trains from the start; returns the losses by epoch and the weights, flat."""
        with self._computed():
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
            return history.history, self._weights()

    def first_step(self, case: str) -> tuple[float, np.ndarray]:
        """Returns the loss of the first step and its gradient, flat (SGD)."""
        with self._computed():
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

    @contextlib.contextmanager
    def _computed(self) -> Iterator[None]:
        """Computes in the layout's precision and on its devices."""
        wide = self.precision == "float64"
        precision = in_float64() if wide else contextlib.nullcontext()
        with precision, computed_together(self.devices):
            yield

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
            order = np.concatenate([k * BATCH + _moved(rng) for k in range(STEPS)])
            images, classes = images[order], classes[order]
        elif kind == "ulp":
            for variable in self.model.trainable_variables:
                value = np.array(variable)
                towards = rng.choice([-np.inf, np.inf], value.shape)
                variable.assign(np.nextafter(value, towards, dtype=np.float32))
        return images, classes


def _smooth(described: dict[str, Any]) -> None:
    """Replaces what is not smooth in a model's description."""
    for layer in described["config"]["layers"]:
        config = layer["config"]
        if layer["class_name"] == "ReLU":
            layer["class_name"] = "Activation"
            kept = {key: config[key] for key in ("name", "trainable", "dtype")}
            layer["config"] = {**kept, "activation": "softplus"}
        elif layer["class_name"] == "MaxPooling2D":
            layer["class_name"] = "AveragePooling2D"


def _moved(rng: np.random.Generator) -> np.ndarray:
    """Returns the places of a batch's tiles in another order."""
    order = rng.permutation(BATCH)
    while np.array_equal(order, np.arange(BATCH)):
        order = rng.permutation(BATCH)
    return order


def apart(
    cases: Sequence[str], optimizer: str, smooth: bool
) -> dict[str, dict[str, object]]:
    """Returns the differences of each case, by case."""
    one = Layout(1, optimizer, smooth)
    runs = dict.fromkeys(("one", *cases), one) | {
        "two": Layout(2, optimizer, smooth),
        REFERENCE: Layout(1, optimizer, smooth, "float64"),
        "float64 two": Layout(2, optimizer, smooth, "float64"),
    }
    found: dict[str, dict[str, object]] = {case: {} for case in runs}
    if optimizer == "sgd":
        steps = {case: layout.first_step(case) for case, layout in runs.items()}
        for case, step in steps.items():
            for base in ("one", REFERENCE):
                found[case][f"first step from {base}"] = _difference(step, steps[base])
    trained = {case: layout.train(case) for case, layout in runs.items()}
    for case, (history, weights) in trained.items():
        losses, others = trained[REFERENCE if case.startswith("float64") else "one"]
        for name, values in history.items():
            pairs = zip(values, losses[name], strict=True)
            found[case][f"{name} by epoch"] = [abs(a - b) for a, b in pairs]
        found[case]["weights"] = float(np.abs(weights - others).max())
    return found


def _difference(
    step: tuple[float, np.ndarray], base: tuple[float, np.ndarray]
) -> dict[str, float]:
    """Returns how far loss and gradient of a step are from another's, relatively."""
    (loss, gradient), (own, other) = base, step
    size = np.linalg.norm(other - gradient) / np.linalg.norm(gradient)
    return {"loss": abs(own - loss) / loss, "gradient": float(size)}


def main() -> None:
    """Prints the differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--optimizer", choices=("sgd", "adam"), default="sgd")
    parser.add_argument("--cases", nargs="*", default=["permuted-1", "ulp-1"])
    parser.add_argument("--smooth", action="store_true")
    given = parser.parse_args()
    print(json.dumps(apart(given.cases, given.optimizer, given.smooth)))


if __name__ == "__main__":
    main()
