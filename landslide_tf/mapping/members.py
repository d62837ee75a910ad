"""One model, several, or one that looks from eight sides: one function of a window."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import ModelError
from landslide_tf.metadata import ModelMetadata
from landslide_tf.terrain import DIHEDRAL, dihedral, dihedral_factors

Inputs = Mapping[str, FloatArray]
Predict = Callable[[Inputs], FloatArray]

_INVERSE = {"rot90": "rot270", "rot270": "rot90"}  # the others undo themselves


@dataclass(frozen=True)
class Member:
    """A model that maps.

    Attributes:
        predict: From `image` and `factors` (B, H, W, ·) to probabilities
            (B, H, W, classes), as `models.prediction_function` and exports give them.
        metadata: Its `model.json`.
        identity: Text that changes when the model does, for resuming.
    """

    predict: Predict
    metadata: ModelMetadata
    identity: str = ""


def check_members(members: Sequence[Member]) -> None:
    """Refuses models that cannot map a scene together.

    Raises:
        ModelError: If there is none, one is no segmentation model, or they differ in
            bands, factors, classes or landslide class.
    """
    if not members:
        raise ModelError("Expected at least one model, received none.")
    first = members[0].metadata
    for metadata in (member.metadata for member in members):
        if metadata.task != "segmentation":
            raise ModelError(
                f"Model `{metadata.name}` must be a segmentation model, received one "
                f"for {metadata.task}."
            )
        if metadata.arguments.get("regions"):
            raise ModelError(
                f"Model `{metadata.name}` has a decoder for each of its regions: make "
                "one for a region with `landslide-tf export RUN --region NAME`."
            )
        if isinstance(metadata.temperature, dict):
            raise ModelError(
                f"Model `{metadata.name}` must have one temperature, received one for "
                "each of several outputs."
            )
        for what in ("inputs", "factors", "classes", "landslide_class", "terrain"):
            if getattr(metadata, what) != getattr(first, what):
                raise ModelError(
                    f"Models that map together must agree in `{what}`: "
                    f"`{metadata.name}` differs from `{first.name}`."
                )


def total_stride(members: Sequence[Member]) -> int:
    """Returns the stride that windows of all members may start on."""
    return math.lcm(*(member.metadata.stride for member in members))


def trained_tile(members: Sequence[Member]) -> int | None:
    """Returns the side of the largest example that a member was trained on, if known.

    Members that differ need the largest: a smaller window hides from one of them what
    it learned to look at.
    """
    return max((m.metadata.tile for m in members if m.metadata.tile), default=None)


def threshold_of(members: Sequence[Member], wanted: float | None) -> float | None:
    """Returns the wanted threshold, else the mean of the members' if all have one."""
    own = [member.metadata.threshold for member in members]
    if wanted is not None or any(value is None for value in own):
        return wanted
    return float(np.mean([value for value in own if value is not None]))


def channels_of(metadata: ModelMetadata) -> int:
    """Returns the number of probabilities a pixel has."""
    return 1 if metadata.landslide_class == "sigmoid" else len(metadata.classes)


def together(
    members: Sequence[Member], *, tta: bool = False, entropies: bool = False
) -> Predict:
    """Returns one function for all members.

    Probabilities are calibrated with each member's temperature and averaged. With
    `tta` each member sees the window turned and mirrored in the eight ways of
    the square, with the azimuths of aspects turned alike.

    Args:
        members: Models that passed `check_members`.
        tta: Whether to average over the symmetries of the square.
        entropies: Adds a channel: the mean entropy of the single predictions, nats.

    Returns:
        A function from a batch to float32 (B, H, W, classes), or one channel more.
    """
    from landslide_tf.metrics.calibration import apply_temperature

    kinds = [factor.name for factor in members[0].metadata.factors]
    names = DIHEDRAL if tta else DIHEDRAL[:1]

    def predict(inputs: Inputs) -> FloatArray:
        total: FloatArray | None = None
        for name in names:
            turned = inputs if name == "identity" else _turned(inputs, kinds, name)
            for member in members:
                found = member.predict(turned)
                _check(found, turned, member.metadata)
                if member.metadata.temperature is not None:
                    temperature = float(member.metadata.temperature)  # type: ignore[arg-type]
                    found = apply_temperature(found, temperature)
                if entropies:
                    found = np.concatenate([found, entropy(found)[..., None]], axis=-1)
                if name != "identity":
                    back = _INVERSE.get(name, name)
                    found = np.stack([dihedral(values, back) for values in found])
                total = found if total is None else total + found
        assert total is not None  # there is at least one member
        count = len(names) * len(members)
        return np.asarray(total if count == 1 else total / count, np.float32)

    return predict


def entropy(probabilities: FloatArray) -> FloatArray:
    """Returns −Σ p ln p over the last axis, of p and 1 − p where that has one channel.

    Args:
        probabilities: Shape (..., classes), or (..., 1) of sigmoid models.

    Returns:
        Entropy (...) in nats.
    """
    values = np.clip(probabilities, 1e-12, 1)
    if values.shape[-1] == 1:
        values = np.concatenate([values, np.clip(1 - values, 1e-12, 1)], axis=-1)
    return -(values * np.log(values)).sum(axis=-1)


def _turned(inputs: Inputs, kinds: Sequence[str], name: str) -> Inputs:
    turned = {"image": np.stack([dihedral(x, name) for x in inputs["image"]])}
    if "factors" in inputs:
        found = [dihedral_factors(x, kinds, name) for x in inputs["factors"]]
        turned["factors"] = np.stack(found)
    return turned


def _check(found: FloatArray, inputs: Inputs, metadata: ModelMetadata) -> None:
    expected = (*inputs["image"].shape[:3], channels_of(metadata))
    if found.shape != expected:
        raise ModelError(
            f"Model `{metadata.name}` must give probabilities of shape {expected}, "
            f"received {found.shape}: its `model.json` is not its own."
        )
    if not np.isfinite(found).all():
        raise ModelError(
            f"Model `{metadata.name}` gives NaN or infinity on this scene: check its "
            "weights and the range of the image's values (`--scale`)."
        )
