"""Evidential fusion of branches inside a network's graph."""

from __future__ import annotations

import math
from typing import Any

import keras

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError
from landslide_tf.evidence.fusion import OFFSET, VARIANTS, Variant
from landslide_tf.layers.precision import working_dtype

# 1e-13 is lost beside 1 in single precision.
SINGLE_OFFSET = 1e-7


@keras.saving.register_keras_serializable(package="landslide_tf")
class EvidentialFusion(keras.layers.Layer):
    """Applies `landslide_tf.evidence.fuse_branches` to a batch.

    Computes in float64 under every policy; where JAX has no 64 bits, in 32 bits with a
    larger offset, which differs by less than 1e-5. The values are not checked: the
    input must be softmax probabilities.

    Args:
        variant: `"inverse"`, `"released"` (64 bits only: its weights are ratios of
            rounding errors), `"support"` or `"mean"`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ModelError: If the variant is unknown, cannot be computed, or the shape is not
            that of branches.
    """

    def __init__(
        self,
        variant: Variant = "inverse",
        **kwargs: Any,  # what keras.layers.Layer takes
    ) -> None:
        super().__init__(**{**kwargs, "dtype": working_dtype("float64")})
        if variant not in VARIANTS:
            raise ModelError(
                f"`variant` must be one of {VARIANTS}, received {variant!r}."
            )
        if variant == "released" and self.compute_dtype != "float64":
            raise ModelError(
                "`variant='released'` needs 64 bits, received a backend without: set "
                "`jax_enable_x64`, or use `landslide_tf.evidence.fuse_branches`."
            )
        self.variant = variant

    def build(self, input_shape: Shape) -> None:
        """Refuses what are no branches of two classes."""
        if len(input_shape) != 3 or input_shape[2] != 2 or (input_shape[1] or 0) < 2:
            raise ModelError(
                "Expected branch probabilities (batch, branches, 2) of at least two "
                f"branches, received {tuple(input_shape)}."
            )

    def call(self, probabilities: Tensor) -> dict[str, Tensor]:
        """Fuses.

        Args:
            probabilities: P(non-landslide), P(landslide) (batch, branches, 2).

        Returns:
            Float32 `probabilities` (batch, 2), `weights` (batch, branches), `conflict`
            and `vacuity` (batch,), and integer `label` (batch,), as `FusionResult`.
        """
        ops = keras.ops
        masses = self._sharpened(ops.cast(probabilities, self.compute_dtype))
        weights = self._weights(masses)
        mean = ops.sum(weights[..., None] * masses, axis=1)
        fused = mean
        for _ in range(masses.shape[1] - 1):
            fused = _combined(fused, mean)
        vacuity = fused[:, 2]
        result = fused[:, :2] + fused[:, 2:] / 2.0
        values = {
            "probabilities": result,
            "weights": weights,
            "conflict": 2.0 * mean[:, 0] * mean[:, 1],
            "vacuity": vacuity,
        }
        values = {name: ops.cast(v, "float32") for name, v in values.items()}
        label = ops.cast(result[:, 1] > result[:, 0], self._integer())
        return {**values, "label": label}

    def _integer(self) -> str:
        return "int64" if self.compute_dtype == "float64" else "int32"

    def _sharpened(self, p: Tensor) -> Tensor:
        ops = keras.ops
        offset = OFFSET if self.compute_dtype == "float64" else SINGLE_OFFSET
        doubt = (1.0 - ops.abs(p[..., :1] - p[..., 1:])) / math.e
        masses = ops.concatenate([p, ops.maximum(doubt, 0.0)], axis=-1) + offset
        masses = _normalised(masses)
        whole = masses[..., 2:]
        b = ops.concatenate([masses[..., :2] + whole / 2.0, whole], axis=-1)
        return _normalised(b * b)

    def _weights(self, masses: Tensor) -> Tensor:
        ops = keras.ops
        renyi = _renyi(masses)
        if self.variant == "mean":
            return _normalised(ops.ones_like(renyi))
        gaps = []
        # Not by subtracting from a sum: that would cancel the small masses away.
        for i in range(masses.shape[1]):
            others = ops.concatenate([masses[:, :i], masses[:, i + 1 :]], axis=1)
            gap = _renyi(ops.mean(others, axis=1)) - ops.mean(_renyi(others), axis=1)
            gaps.append(gap)
        weights = _normalised(ops.exp(ops.stack(gaps, axis=1)))
        if self.variant == "support":
            return weights
        share = masses / ops.convert_to_tensor([1.0, 1.0, 3.0], masses.dtype)
        deng = -ops.sum(masses * ops.log2(share), axis=-1)
        if self.variant == "released":
            return _normalised(weights * _normalised(deng) * _normalised(renyi))
        doubt = deng + renyi
        least = ops.min(doubt, axis=1, keepdims=True)
        return _normalised(weights * ops.exp(least - doubt))

    def compute_output_spec(self, probabilities: Tensor) -> dict[str, Tensor]:
        """Returns the specification of every output."""
        batch, branches, _ = probabilities.shape
        shapes = {
            "probabilities": (batch, 2),
            "weights": (batch, branches),
            "conflict": (batch,),
            "vacuity": (batch,),
        }
        specs = {k: keras.KerasTensor(shape, "float32") for k, shape in shapes.items()}
        return {**specs, "label": keras.KerasTensor((batch,), self._integer())}

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "variant": self.variant}


def _renyi(masses: Tensor) -> Tensor:
    """Returns Rényi's entropy of order ½."""
    return 2.0 * keras.ops.log2(keras.ops.sum(keras.ops.sqrt(masses), axis=-1))


def _combined(first: Tensor, second: Tensor) -> Tensor:
    """Returns Dempster's combination of masses (batch, 3) of two classes."""
    classes = first[:, :2] * (second[:, :2] + second[:, 2:]) + (
        first[:, 2:] * second[:, :2]
    )
    whole = first[:, 2:] * second[:, 2:]
    return _normalised(keras.ops.concatenate([classes, whole], axis=-1))


def _normalised(x: Tensor) -> Tensor:
    return x / keras.ops.sum(x, axis=-1, keepdims=True)
