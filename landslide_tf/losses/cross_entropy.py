"""Cross-entropy over the labelled pixels of a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from landslide_tf.errors import ModelError
from landslide_tf.tensors import Tensor


@keras.saving.register_keras_serializable(package="landslide_tf")
class SegmentationCrossEntropy(keras.losses.Loss):
    """Softmax cross-entropy averaged over the pixels that have a label.

    L = Σ w_y · (−ln a_y) / Σ w_y over the valid pixels of the batch, with the softmax
    probability a_y of the pixel's class y and the class weight w_y (Xia et al. 2021,
    equation 2, which leaves the average open). Without class weights this is
    `keras.losses.SparseCategoricalCrossentropy(ignore_class=...)`.

    The average runs over pixels, not over images: an image with many ignored pixels
    counts less. A batch without any valid pixel gives 0 with zero gradients. With
    `tf.distribute` every replica averages over its own pixels, and Keras averages the
    replicas. All arithmetic is float32 under every precision policy.

    A label that is neither a class nor the ignore value gives NaN (on TensorFlow's CPU
    an `InvalidArgumentError` that names it): compiled code cannot do better.

    Args:
        ignore_class: Label of pixels without a class; None ignores nothing.
        class_weights: One weight ≥ 0 a class, not all 0; None weighs all alike. A
            common factor changes nothing.
        from_logits: Whether predictions are logits; False takes probabilities.
        name: Name of the loss.

    Raises:
        ModelError: If a weight is negative or not finite, or all are 0.
    """

    def __init__(
        self,
        ignore_class: int | None = 255,
        class_weights: Sequence[float] | None = None,
        from_logits: bool = True,
        name: str = "segmentation_cross_entropy",
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

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """Computes the loss of a batch.

        Args:
            y_true: Integer labels, (B, H, W) or (B, H, W, 1).
            y_pred: Logits or probabilities, (B, H, W, classes).
            sample_weight: Must be None: the loss has no use for it.

        Returns:
            A float32 scalar.

        Raises:
            ModelError: If `sample_weight` is given or the shapes do not fit.
        """
        if sample_weight is not None:
            raise ModelError(
                "Expected no `sample_weight` or `class_weight` in `fit` with "
                "`SegmentationCrossEntropy`, received one; use `class_weights=` of the "
                "loss and the ignore label."
            )
        return super().__call__(y_true, y_pred)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Returns the loss as a tensor of shape (1,).

        One element, not a scalar: Keras averages what `call` returns, and only in that
        step does it divide by the number of replicas.

        Args:
            y_true: Labels, (B, H, W) or (B, H, W, 1).
            y_pred: float32 logits or probabilities, (B, H, W, classes).
        """
        ops = keras.ops
        labels = ops.cast(y_true, "int32")
        if len(labels.shape) == len(y_pred.shape) and labels.shape[-1] == 1:
            labels = ops.squeeze(labels, axis=-1)
        classes = y_pred.shape[-1]
        self._check(labels, y_pred)
        valid = ops.ones_like(labels, dtype="bool")
        if self.ignore_class is not None:
            valid = ops.not_equal(labels, self.ignore_class)
        labels = ops.where(valid, labels, 0)
        known = ops.logical_and(labels >= 0, labels < classes)
        weights = ops.where(known, self._weights(labels, classes), math.nan)
        weights = ops.where(valid, weights, 0.0)
        entropy = ops.sparse_categorical_crossentropy(
            labels, y_pred, from_logits=self.from_logits
        )
        loss = ops.divide_no_nan(ops.sum(weights * entropy), ops.sum(weights))
        return ops.reshape(loss, (1,))

    def _weights(self, labels: Tensor, classes: int) -> Tensor:
        if self.class_weights is None:
            return keras.ops.ones_like(labels, dtype="float32")
        table = keras.ops.convert_to_tensor(self.class_weights, dtype="float32")
        return keras.ops.take(table, keras.ops.clip(labels, 0, classes - 1), axis=0)

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
                    f"Expected {y_pred.shape[-1]} `class_weights`, one an output "
                    f"channel, received {received}; give one weight a class."
                )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments as JSON values."""
        return {
            "ignore_class": self.ignore_class,
            "class_weights": self.class_weights,
            "from_logits": self.from_logits,
            "name": self.name,
        }
