"""Cross-entropy that looks at the pixels that are still wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.losses.segmentation import (
    Pixels,
    SegmentationLoss,
    check_number,
    weighted_mean,
)

# Keeps the slope of (1 − p)^γ finite at p = 1 where γ < 1.
SMALLEST_ERROR = 1e-7


@keras.saving.register_keras_serializable(package="landslide_tf")
class FocalLoss(SegmentationLoss):
    """Focal loss averaged over the pixels that have a label.

    L = α · Σ w_y · (1 − a_y)^γ · (−ln a_y) / Σ w_y over the valid pixels of the batch,
    with the probability a_y of the pixel's class y (Lin et al. 2017, equations 4 and
    5). γ = 0 is cross-entropy. The balance between classes of their equation 5 is
    `class_weights=[1 - a, a]`; `alpha` here scales the loss as a whole, as a term of a
    sum needs it.

    Ignored pixels, empty batches, unknown labels, one-channel models, replicas and
    precision are treated as in `SegmentationCrossEntropy`.

    Args:
        gamma: Exponent γ ≥ 0; the paper's best is 2.
        alpha: Factor α > 0 of the whole loss; None is 1.
        ignore_class: Label of pixels without a class; None ignores nothing.
        class_weights: One weight ≥ 0 a class, not all 0; None weighs all alike.
        from_logits: Whether predictions are logits; False takes probabilities.
        name: Name of the loss.

    Raises:
        ModelError: If an argument is out of its range.
    """

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | None = None,
        ignore_class: int | None = 255,
        class_weights: Sequence[float] | None = None,
        from_logits: bool = True,
        name: str = "focal_loss",
    ) -> None:
        super().__init__(ignore_class, class_weights, from_logits, name)
        self.gamma = check_number("gamma", gamma)
        if alpha is not None:
            alpha = check_number("alpha", alpha, positive=True)
        self.alpha = alpha

    def of_pixels(self, pixels: Pixels) -> Tensor:
        """Returns α · Σ w·(1 − a)^γ·ce / Σ w."""
        entropy = pixels.entropy()
        # 1 − exp(−ce) loses every digit of the error where the pixel is right.
        error = keras.ops.maximum(-keras.ops.expm1(-entropy), SMALLEST_ERROR)
        focal = keras.ops.power(error, self.gamma) * entropy
        loss = weighted_mean(focal, pixels.weights(self.class_weights))
        return loss if self.alpha is None else self.alpha * loss

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments as JSON values."""
        return {"gamma": self.gamma, "alpha": self.alpha, **super().get_config()}
