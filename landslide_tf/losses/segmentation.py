"""What the losses of segmentation share: labels, ignored pixels, class weights."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.errors import ModelError


@dataclass(frozen=True)
class Pixels:
    """The pixels of a batch as every loss takes them.

    Attributes:
        labels: int32 classes, (B, H, W); 0 where ignored.
        scores: float32 logits or probabilities, (B, H, W, C) with C ≥ 2.
        valid: float32 (B, H, W): 1, 0 where ignored, NaN where the label is unknown.
        from_logits: Whether `scores` are logits.
        sample_weight: float32 (B, H, W) or (B, 1, 1), the weights that `fit` gives
            pixels or examples; None weighs all alike.
    """

    labels: Tensor
    scores: Tensor
    valid: Tensor
    from_logits: bool
    sample_weight: Tensor | None = None

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return self.scores.shape[-1]

    def entropy(self) -> Tensor:
        """Returns −ln of the probability of each pixel's class, (B, H, W)."""
        return keras.ops.sparse_categorical_crossentropy(
            self.labels, self.scores, from_logits=self.from_logits
        )

    def probabilities(self) -> Tensor:
        """Returns the probability of every class, (B, H, W, C)."""
        if self.from_logits:
            return keras.ops.softmax(self.scores, axis=-1)
        return self.scores

    def weights(self, class_weights: Sequence[float] | None) -> Tensor:
        """Returns the weight of each pixel's class, 0 where ignored, (B, H, W)."""
        if class_weights is None:
            return self.valid
        table = keras.ops.convert_to_tensor(class_weights, dtype="float32")
        index = keras.ops.clip(self.labels, 0, self.classes - 1)
        weights = keras.ops.take(table, index, axis=0)
        return keras.ops.where(self.valid == 1.0, weights, self.valid)

    def mean(self, values: Tensor, weights: Tensor) -> Tensor:
        """Returns Σ s·w·v / Σ w, with the weights s of `fit`, as Keras averages.

        Args:
            values: float32 (B, H, W).
            weights: float32 (B, H, W).
        """
        if self.sample_weight is not None:
            # An ignored pixel may have any weight. Chosen before the product: the
            # gradient of a choice after it would be 0 times what is not a number.
            values *= keras.ops.where(weights == 0.0, 0.0, self.sample_weight)
        return weighted_mean(values, weights)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Returns Σ w·v / Σ w, 0 where all weights are 0."""
    ops = keras.ops
    return ops.divide_no_nan(ops.sum(weights * values), ops.sum(weights))


def of_each(
    weight: Tensor,
    pixels: Tensor,
    loss: str,
    weighs: Literal["pixels", "examples"] | None = "pixels",
) -> Tensor:
    """Returns weights of `fit` so that they multiply values of pixels.

    Args:
        weight: One for each example, (B,), or for each pixel, (B, H, W) or
            (B, H, W, 1); a scalar weighs all alike.
        pixels: Values of pixels, (B, H, W), or of examples, (B,).
        loss: Name of the loss, for the message.
        weighs: What it can weigh: `"pixels"` (and examples), `"examples"` or None.

    Returns:
        float32 of the rank of `pixels`.

    Raises:
        ModelError: If the loss cannot weigh so.
    """
    ops = keras.ops
    if weighs is None:
        raise ModelError(
            f"Expected no `sample_weight` or `class_weight` in `fit` with `{loss}`, "
            "which is of the batch as a whole, received one; use `class_weights=` of "
            "the loss and the ignore label."
        )
    weight = ops.cast(weight, "float32")
    rank, given = len(pixels.shape), tuple(weight.shape)
    if len(given) == rank + 1 and given[-1] == 1:
        weight = ops.squeeze(weight, -1)
    own = tuple(weight.shape)
    if len(own) not in {0, 1, rank if weighs == "pixels" else 1} or any(
        None not in sizes and sizes[0] != sizes[1]
        for sizes in zip(own, pixels.shape, strict=False)
    ):
        shapes = [tuple(pixels.shape[:1])]
        if weighs == "pixels":
            shapes.append(tuple(pixels.shape))
        raise ModelError(
            f"Expected `sample_weight` of shape {' or '.join(map(str, shapes))} in "
            f"`{loss}`, received {given}; `class_weight` in `fit` needs labels "
            "(B, H, W, 1) in a `tf.data.Dataset`."
        )
    if len(own) == rank:
        return weight
    return ops.reshape(weight, (-1, *[1] * (rank - 1)))


class WeighedLoss(keras.losses.Loss):
    """Base of the losses that weigh pixels or examples themselves.

    A subclass keeps each argument of its constructor under the argument's name.
    """

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """Computes the loss of a batch.

        Args:
            y_true: Integer labels, (B, H, W) or (B, H, W, 1); of losses of responses,
                recorded probabilities, (B, H, W, 1).
            y_pred: Logits or probabilities, (B, H, W, classes).
            sample_weight: Weights of examples, (B,), or of pixels, (B, H, W) or
                (B, H, W, 1), where the loss has them.

        Returns:
            A float32 scalar.

        Raises:
            ModelError: If the loss does not weigh so or the shapes do not fit.
        """
        if sample_weight is None:
            return super().__call__(y_true, y_pred)
        # Keras multiplies what `call` returns, which here is one value a batch.
        return super().__call__((y_true, sample_weight), y_pred)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments as JSON values."""
        names = inspect.signature(type(self)).parameters
        return {name: getattr(self, name) for name in names}


class SegmentationLoss(WeighedLoss):
    """Base of the losses over the labelled pixels of a batch.

    `weighs` says what a loss can weigh by the `sample_weight` and `class_weight` of
    `fit`: `"pixels"` (and examples), `"examples"`, or None for a loss of the whole
    batch. Weights s give Σ s·l / Σ 1 where no weights give Σ l / Σ 1: as with Keras's
    losses, all weights doubled double the loss.

    A model with one output channel is a sigmoid model: its channel is the landslide
    class, label 1 against label 0, and `class_weights` has two entries.

    Args:
        ignore_class: Label of pixels without a class; None ignores nothing.
        class_weights: One weight ≥ 0 a class, not all 0; None weighs all alike.
        from_logits: Whether predictions are logits; False takes probabilities.
        name: Name of the loss.

    Raises:
        ModelError: If a weight is negative or not finite, or all are 0.
    """

    weighs: Literal["pixels", "examples"] | None = None

    def __init__(
        self,
        ignore_class: int | None,
        class_weights: Sequence[float] | None,
        from_logits: bool,
        name: str,
    ) -> None:
        super().__init__(name=name, dtype="float32")
        if class_weights is not None:
            class_weights = [float(weight) for weight in class_weights]
            usable = all(math.isfinite(w) and w >= 0 for w in class_weights)
            if not usable or not any(class_weights):
                raise ModelError(
                    "Expected `class_weights` that are finite, not negative and not "
                    f"all 0, received {class_weights}; give one weight a class."
                )
        self.ignore_class = ignore_class
        self.class_weights = class_weights
        self.from_logits = from_logits

    def call(self, y_true: Tensor | tuple[Tensor, Tensor], y_pred: Tensor) -> Tensor:
        """Returns the loss as a tensor of shape (1,).

        One element, not a scalar: Keras averages what `call` returns, and only in that
        step does it divide by the number of replicas.

        Args:
            y_true: Labels, (B, H, W) or (B, H, W, 1), or these and the weights.
            y_pred: float32 logits or probabilities, (B, H, W, classes).
        """
        labels, weight = y_true if isinstance(y_true, tuple) else (y_true, None)
        pixels = self._pixels(labels, y_pred)
        if weight is not None:
            weight = of_each(weight, pixels.labels, type(self).__name__, self.weighs)
            pixels = replace(pixels, sample_weight=weight)
        return keras.ops.reshape(self.of_pixels(pixels), (1,))

    def of_pixels(self, pixels: Pixels) -> Tensor:
        """Returns the loss of a batch as a float32 scalar."""
        raise NotImplementedError

    def _pixels(self, y_true: Tensor, y_pred: Tensor) -> Pixels:
        ops = keras.ops
        labels = ops.cast(y_true, "int32")
        if len(labels.shape) == len(y_pred.shape) and labels.shape[-1] == 1:
            labels = ops.squeeze(labels, axis=-1)
        if y_pred.shape[-1] == 1:
            rest = ops.zeros_like(y_pred) if self.from_logits else 1.0 - y_pred
            y_pred = ops.concatenate([rest, y_pred], axis=-1)
        self._check(labels, y_pred)
        valid = ops.ones_like(labels, dtype="bool")
        if self.ignore_class is not None:
            valid = ops.not_equal(labels, self.ignore_class)
        labels = ops.where(valid, labels, 0)
        known = ops.logical_and(labels >= 0, labels < y_pred.shape[-1])
        weight = ops.where(known, ops.cast(valid, "float32"), math.nan)
        return Pixels(labels, y_pred, weight, self.from_logits)

    def _check(self, labels: Tensor, y_pred: Tensor) -> None:
        if len(labels.shape) != len(y_pred.shape) - 1:
            raise ModelError(
                "Expected integer labels of shape (B, H, W) or (B, H, W, 1) for "
                f"predictions of shape {tuple(y_pred.shape)}, received "
                f"{tuple(labels.shape)}; give class indices, not one-hot vectors."
            )
        if self.class_weights is not None:
            received = len(self.class_weights)
            if received != y_pred.shape[-1]:
                raise ModelError(
                    f"Expected {y_pred.shape[-1]} `class_weights`, one a class, "
                    f"received {received}; give one weight a class."
                )


def check_number(name: str, value: float, *, positive: bool = False) -> float:
    """Returns a loss parameter as a float.

    Args:
        name: What the caller calls it.
        value: A finite number ≥ 0.
        positive: Whether 0 is refused, too.

    Returns:
        The value.

    Raises:
        ModelError: If the value is out of range.
    """
    if not math.isfinite(value) or value < 0 or (positive and value == 0):
        least = "above 0" if positive else "of at least 0"
        raise ModelError(
            f"Expected a finite `{name}` {least}, received {value}; correct the loss's "
            "arguments."
        )
    return float(value)
