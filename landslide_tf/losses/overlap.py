"""Losses that compare areas: Dice, Tversky, and cross-entropy with Dice."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.errors import ModelError
from landslide_tf.losses.segmentation import (
    Pixels,
    SegmentationLoss,
    check_number,
    weighted_mean,
)

# Keeps 0/0 away where a class is neither in the labels nor in the prediction.
EPSILON = 1e-7


def tversky_loss(
    pixels: Pixels,
    *,
    alpha: float,
    beta: float,
    smooth: float = 0.0,
    class_weights: Sequence[float] | None = None,
) -> Tensor:
    """Returns one minus the mean Tversky index of the classes.

    Args:
        pixels: The pixels of a batch.
        alpha: Weight of false alarms.
        beta: Weight of misses.
        smooth: Added to numerator and denominator.
        class_weights: One weight a class in the mean; None weighs all alike.

    Returns:
        A float32 scalar; 0 with zero gradients where no pixel is valid.
    """
    ops = keras.ops
    valid = ops.expand_dims(pixels.valid, -1)
    predicted = pixels.probabilities() * valid
    truth = ops.one_hot(pixels.labels, pixels.classes, dtype="float32") * valid
    hits = _area(predicted * truth)
    # From the areas, hits subtracted, they would lose the digits of small errors.
    false_alarms = _area(predicted * (1.0 - truth))
    misses = _area((valid - predicted) * truth)
    errors = alpha * false_alarms + beta * misses
    index = (2.0 * hits + smooth) / (2.0 * (hits + errors) + max(smooth, EPSILON))
    weights = ops.ones((pixels.classes,), dtype="float32")
    if class_weights is not None:
        weights = ops.convert_to_tensor(class_weights, dtype="float32")
    loss = weighted_mean(1.0 - index, weights)
    # Not `> 0`: the NaN of an unknown label has to pass.
    return ops.where(ops.equal(ops.sum(pixels.valid), 0.0), 0.0, loss)


def _area(values: Tensor) -> Tensor:
    """Sums over all axes but the last, one after the other.

    In one go TensorFlow adds pixel after pixel, and float32 rounding piles up over a
    batch of large images.
    """
    while len(values.shape) > 1:
        values = keras.ops.sum(values, axis=-2)
    return values


@keras.saving.register_keras_serializable(package="landslide_tf")
class TverskyLoss(SegmentationLoss):
    """One minus the Tversky index, averaged over the classes.

    L = 1 − Σ_c w_c·T_c / Σ_c w_c with T_c = TP / (TP + α·FP + β·FN) of class c, where
    TP = Σ p·y, FP = Σ p·(1 − y) and FN = Σ (1 − p)·y run over all valid pixels of the
    batch, p the probability of the class (Salehi et al. 2017, equation 4). β above α
    asks for recall; α = β = ½ is the Dice loss.

    A class that the batch's labels do not hold has T_c = 0 and no gradient of its own
    with `smooth=0`; a `smooth` above 0 makes it learn to stay empty. The value depends
    on which images share a batch, and with `tf.distribute` every replica has the areas
    of its own images.

    Ignored pixels count nowhere. A batch without any valid pixel gives 0 with zero
    gradients. A model with one output channel is a sigmoid model, label 1 its class;
    `class_weights=[0, 1]` then scores that class alone. A label that is neither a class
    nor the ignore value gives NaN. All arithmetic is float32 under every policy.

    Args:
        alpha: Weight of false alarms, ≥ 0.
        beta: Weight of misses, ≥ 0; not 0 together with `alpha`.
        smooth: s ≥ 0 in T = (2·TP + s) / (2·(TP + α·FP + β·FN) + s).
        ignore_class: Label of pixels without a class; None ignores nothing.
        class_weights: One weight ≥ 0 a class, not all 0; None weighs all alike.
        from_logits: Whether predictions are logits; False takes probabilities.
        name: Name of the loss.

    Raises:
        ModelError: If an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import losses
        >>> labels = np.array([[[0, 1, 255]]])  # the last pixel has no class
        >>> logits = np.array([[[[2.0, 0.0], [0.0, 1.0], [9.0, 0.0]]]], "float32")
        >>> round(float(losses.TverskyLoss(alpha=0.3, beta=0.7)(labels, logits)), 4)
        0.1958
    """

    def __init__(
        self,
        alpha: float = 0.3,
        beta: float = 0.7,
        smooth: float = 0.0,
        ignore_class: int | None = 255,
        class_weights: Sequence[float] | None = None,
        from_logits: bool = True,
        name: str = "tversky_loss",
    ) -> None:
        super().__init__(ignore_class, class_weights, from_logits, name)
        self.alpha = check_number("alpha", alpha)
        self.beta = check_number("beta", beta)
        if alpha == beta == 0:
            raise ModelError(
                "Expected `alpha` or `beta` above 0, received 0 for both; an index "
                "without errors is always 1."
            )
        self.smooth = check_number("smooth", smooth)

    def of_pixels(self, pixels: Pixels) -> Tensor:
        """Returns one minus the mean index."""
        return tversky_loss(
            pixels,
            alpha=self.alpha,
            beta=self.beta,
            smooth=self.smooth,
            class_weights=self.class_weights,
        )


@keras.saving.register_keras_serializable(package="landslide_tf")
class DiceLoss(SegmentationLoss):
    """One minus the soft Dice coefficient, averaged over the classes.

    L = 1 − Σ_c w_c·D_c / Σ_c w_c with D_c = (2·Σ p·y + s) / (Σ p + Σ y + s) over all
    valid pixels of the batch, p the probability of class c (Milletari et al. 2016,
    section 3, with plain sums in the denominator). Empty classes, ignored pixels,
    one-channel models, replicas and precision are treated as in `TverskyLoss`.

    Args:
        smooth: s ≥ 0; 0 leaves only 10⁻⁷ in the denominator against 0/0.
        ignore_class: Label of pixels without a class; None ignores nothing.
        class_weights: One weight ≥ 0 a class, not all 0; None weighs all alike.
        from_logits: Whether predictions are logits; False takes probabilities.
        name: Name of the loss.

    Raises:
        ModelError: If an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import losses
        >>> labels = np.array([[[0, 1, 255]]])  # the last pixel has no class
        >>> logits = np.array([[[[2.0, 0.0], [0.0, 1.0], [9.0, 0.0]]]], "float32")
        >>> round(float(losses.DiceLoss()(labels, logits)), 4)
        0.1952
    """

    def __init__(
        self,
        smooth: float = 0.0,
        ignore_class: int | None = 255,
        class_weights: Sequence[float] | None = None,
        from_logits: bool = True,
        name: str = "dice_loss",
    ) -> None:
        super().__init__(ignore_class, class_weights, from_logits, name)
        self.smooth = check_number("smooth", smooth)

    def of_pixels(self, pixels: Pixels) -> Tensor:
        """Returns one minus the mean coefficient."""
        return tversky_loss(
            pixels,
            alpha=0.5,
            beta=0.5,
            smooth=self.smooth,
            class_weights=self.class_weights,
        )


@keras.saving.register_keras_serializable(package="landslide_tf")
class CrossEntropyDiceLoss(SegmentationLoss):
    """Sum of cross-entropy and Dice loss.

    L = L_ce + λ · L_dice of `SegmentationCrossEntropy` and `DiceLoss`, which say how
    ignored pixels, empty classes, one-channel models, replicas and precision are
    treated (the sum of Isensee et al. 2021, methods, "Training").

    Args:
        dice_weight: λ ≥ 0.
        ignore_class: Label of pixels without a class; None ignores nothing.
        class_weights: One weight ≥ 0 a class, not all 0, for the cross-entropy; the
            Dice mean weighs the classes alike.
        from_logits: Whether predictions are logits; False takes probabilities.
        name: Name of the loss.

    Raises:
        ModelError: If an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import losses
        >>> labels = np.array([[[0, 1, 255]]])  # the last pixel has no class
        >>> logits = np.array([[[[2.0, 0.0], [0.0, 1.0], [9.0, 0.0]]]], "float32")
        >>> loss = losses.CrossEntropyDiceLoss(dice_weight=1.0)
        >>> round(float(loss(labels, logits)), 4)
        0.4153
    """

    def __init__(
        self,
        dice_weight: float = 1.0,
        ignore_class: int | None = 255,
        class_weights: Sequence[float] | None = None,
        from_logits: bool = True,
        name: str = "cross_entropy_dice_loss",
    ) -> None:
        super().__init__(ignore_class, class_weights, from_logits, name)
        self.dice_weight = check_number("dice_weight", dice_weight)

    def of_pixels(self, pixels: Pixels) -> Tensor:
        """Returns the sum of the two losses."""
        entropy = weighted_mean(pixels.entropy(), pixels.weights(self.class_weights))
        return entropy + self.dice_weight * tversky_loss(pixels, alpha=0.5, beta=0.5)
