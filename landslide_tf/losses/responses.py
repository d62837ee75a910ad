"""Losses of model updates: soft Dice, and the preservation of old responses."""

from __future__ import annotations

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.errors import ModelError, check_choice
from landslide_tf.losses.segmentation import (
    Pixels,
    SegmentationLoss,
    WeighedLoss,
    check_number,
    of_each,
)

FORMS = ("mse", "kd_kl", "kd_bce")
_CLIP = 1e-6


@keras.saving.register_keras_serializable(package="landslide_tf")
class SoftDiceLoss(SegmentationLoss):
    """One minus the soft Dice coefficient of landslide over the whole batch.

    L = 1 − (2·Σ y·p + s) / (Σ y + Σ p + s) over all valid pixels of all images of the
    batch, as in the code released with Nagendra et al. 2022; the value depends on which
    images share a batch. Without landslide in labels and prediction it is 0. Ignored
    pixels count nowhere; a label that is neither 0, 1 nor the ignore value gives NaN.

    Args:
        smooth: s > 0.
        per_image: Whether the quotient is taken image by image and then averaged;
            then `fit` may weigh the images.
        ignore_class: Label of pixels without a class; None ignores nothing.
        from_logits: Whether predictions are logits; False takes probabilities.
        name: Name of the loss.

    Raises:
        ModelError: If `smooth` is not above 0.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import losses
        >>> labels = np.array([[[0, 1, 255]]])  # the last pixel has no class
        >>> landslide = np.array([[[[0.1], [0.8], [0.9]]]], "float32")
        >>> round(float(losses.SoftDiceLoss()(labels, landslide)), 4)
        0.1034
    """

    def __init__(
        self,
        smooth: float = 1.0,
        per_image: bool = False,
        ignore_class: int | None = 255,
        from_logits: bool = False,
        name: str = "soft_dice_loss",
    ) -> None:
        super().__init__(ignore_class, None, from_logits, name)
        self.smooth = check_number("smooth", smooth, positive=True)
        self.per_image = per_image
        self.weighs = "examples" if per_image else None

    def of_pixels(self, pixels: Pixels) -> Tensor:
        """Returns one minus the coefficient."""
        ops = keras.ops
        predicted = pixels.probabilities()[..., 1] * pixels.valid
        truth = ops.cast(pixels.labels, "float32") * pixels.valid
        hits = image_sums(predicted * truth)
        areas = image_sums(predicted) + image_sums(truth)
        if not self.per_image:
            hits, areas = ops.sum(hits), ops.sum(areas)
        loss = 1.0 - (2.0 * hits + self.smooth) / (areas + self.smooth)
        if pixels.sample_weight is not None:
            loss = loss * ops.reshape(pixels.sample_weight, (-1,))
        return ops.mean(loss)


def image_sums(values: Tensor) -> Tensor:
    """Sums (B, H, W) to (B,), axis by axis so that float32 rounding stays small."""
    return keras.ops.sum(keras.ops.sum(values, axis=-1), axis=-1)


@keras.saving.register_keras_serializable(package="landslide_tf")
class ResponsePreservationLoss(WeighedLoss):
    """Mean distance of probabilities from recorded ones over all pixels.

    `"mse"`: (r − p)², as in the code released with Nagendra et al. 2022. `"kd_kl"`: the
    divergence KL(R ‖ Q) of R = σ(logit(r)/τ) from Q = σ(logit(p)/τ), and `"kd_bce"`:
    their cross-entropy, which has the same gradients but is not 0 where nothing moved
    (Li and Hoiem 2016, equation 2, for two classes with logits (0, z)).

    Args:
        form: `"mse"`, `"kd_kl"` or `"kd_bce"`.
        temperature: τ > 0, of the two `kd` forms.
        name: Name of the loss.

    Raises:
        ModelError: If an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import losses
        >>> old = np.array([[[[0.1], [0.8]]]], "float32")
        >>> new = np.array([[[[0.3], [0.8]]]], "float32")
        >>> round(float(losses.ResponsePreservationLoss()(old, new)), 4)
        0.02
    """

    def __init__(
        self,
        form: str = "mse",
        temperature: float = 2.0,
        name: str = "response_preservation_loss",
    ) -> None:
        super().__init__(name=name, dtype="float32")
        check_choice("form", form, FORMS, ModelError)
        self.form = form
        self.temperature = check_number("temperature", temperature, positive=True)

    def call(self, y_true: Tensor | tuple[Tensor, Tensor], y_pred: Tensor) -> Tensor:
        """Returns the loss of each image, (B,).

        Args:
            y_true: Recorded probabilities, (B, H, W, 1), or these and the weights.
            y_pred: Present probabilities, (B, H, W, 1).
        """
        ops = keras.ops
        y_true, weight = y_true if isinstance(y_true, tuple) else (y_true, None)
        if self.form == "mse":
            values = ops.square(y_true - y_pred)
        else:
            old, new = self._logits(y_true), self._logits(y_pred)
            share = ops.sigmoid(old)
            # As differences, so that responses which did not move give exactly 0.
            entropy = self.form == "kd_kl"
            gain = _log_sigmoid(old, entropy) - ops.log_sigmoid(new)
            loss = _log_sigmoid(-old, entropy) - ops.log_sigmoid(-new)
            values = share * gain + (1.0 - share) * loss
        if weight is not None:
            weight = of_each(weight, y_true[..., 0], type(self).__name__)
            values = values * weight[..., None]
        return ops.mean(values, axis=(1, 2, 3))

    def _logits(self, probabilities: Tensor) -> Tensor:
        p = keras.ops.clip(probabilities, _CLIP, 1.0 - _CLIP)
        return (keras.ops.log(p) - keras.ops.log(1.0 - p)) / self.temperature


def _log_sigmoid(logits: Tensor, wanted: bool) -> Tensor | float:
    return keras.ops.log_sigmoid(logits) if wanted else 0.0
