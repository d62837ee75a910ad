"""Models predict the strips of a scene, with test-time augmentation if wanted."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import ModelError
from landslide_tf.mapping.scene import ModelScene
from landslide_tf.mapping.window_inputs import window_batches
from landslide_tf.mapping.windows import Axis, Blender
from landslide_tf.metadata import ModelMetadata
from landslide_tf.terrain import dihedral_mean

Inputs = Mapping[str, FloatArray]
Predict = Callable[[Inputs], FloatArray]

_PIXELS = 1 << 20  # of a batch


@dataclass(frozen=True)
class Member:
    """A model that can predict maps.

    Attributes:
        predict: From `image` and `factors` (B, H, W, ·) to probabilities
            (B, H, W, classes), as `models.prediction_function` and exports give them.
        metadata: Its `model.json`.
        identity: Text that changes when the model does, for resuming.

    >>> from landslide_tf.mapping import Member
    >>> from landslide_tf.metadata import Band, ModelMetadata
    >>> metadata = ModelMetadata(
    ...     name="bright", builder="unet", arguments={}, inputs=[Band(name="grey")],
    ...     classes=["landslide"], landslide_class="sigmoid",
    ... )
    >>> bright = Member(lambda inputs: inputs["image"] / 255, metadata)
    >>> bright.predict({"image": 51})
    0.2
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
                f"Model `{metadata.name}` has a decoder for each of its regions: "
                "choose one with `--region NAME` or `--regions FILE`."
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
    """Returns the stride on which the windows of all members may start.

    >>> from landslide_tf.mapping import Member
    >>> from landslide_tf.mapping.predict import total_stride
    >>> from landslide_tf.metadata import Band, ModelMetadata
    >>> known = {"builder": "unet", "arguments": {}, "inputs": [Band(name="red")]}
    >>> known |= {"classes": ["other", "landslide"], "landslide_class": 1}
    >>> models = [
    ...     Member(dict, ModelMetadata(name=str(stride), stride=stride, **known))
    ...     for stride in (4, 6)
    ... ]
    >>> total_stride(models)
    12
    """
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

    >>> import numpy as np
    >>> from landslide_tf.mapping import Member
    >>> from landslide_tf.mapping.predict import together
    >>> from landslide_tf.metadata import Band, ModelMetadata
    >>> metadata = ModelMetadata(
    ...     name="red", builder="unet", arguments={}, inputs=[Band(name="red")],
    ...     classes=["landslide"], landslide_class="sigmoid",
    ... )
    >>> bright = Member(lambda inputs: inputs["image"] / 255, metadata)
    >>> image = np.array([[[[0.0], [51.0]]]], np.float32)
    >>> together([bright], tta=True)({"image": image}).round(3).ravel().tolist()
    [0.0, 0.20000000298023224]
    """
    from landslide_tf.metrics.calibration import apply_temperature

    def predict(inputs: Inputs) -> FloatArray:
        total: FloatArray | None = None
        for member in members:
            found = member.predict(inputs)
            _check(found, inputs, member.metadata)
            if member.metadata.temperature is not None:
                temperature = float(member.metadata.temperature)  # type: ignore[arg-type]
                found = apply_temperature(found, temperature)
            if entropies:
                found = np.concatenate([found, entropy(found)[..., None]], axis=-1)
            total = found if total is None else total + found
        assert total is not None  # there is at least one member
        count = len(members)
        return np.asarray(total if count == 1 else total / count, np.float32)

    if not tta:
        return predict
    kinds = [factor.name for factor in members[0].metadata.factors]
    return lambda inputs: dihedral_mean(predict, inputs, kinds)


def entropy(probabilities: FloatArray) -> FloatArray:
    """Returns −Σ p ln p over the last axis, of p and 1 − p where that has one channel.

    Args:
        probabilities: Shape (..., classes), or (..., 1) of sigmoid models.

    Returns:
        Entropy (...) in nats.

    >>> import numpy as np
    >>> from landslide_tf.mapping.predict import entropy
    >>> entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).round(4).tolist()
    [0.6931, 0.0]
    """
    values = np.clip(probabilities, 1e-12, 1)
    if values.shape[-1] == 1:
        values = np.concatenate([values, np.clip(1 - values, 1e-12, 1)], axis=-1)
    return -(values * np.log(values)).sum(axis=-1)


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


class Strip(NamedTuple):
    """Finished rows of the upright grid.

    Attributes:
        number: Counted from 0 at the top.
        values: float32 (h, W, channels); 0 where not valid.
        valid: bool (h, W).
    """

    number: int
    values: FloatArray
    valid: NDArray[np.bool_]


def batch_size(window: int) -> int:
    """Returns how many windows a batch holds: about a million pixels.

    >>> from landslide_tf.mapping.predict import batch_size
    >>> batch_size(256)
    16
    """
    return max(1, _PIXELS // (window * window))


def predict_strips(
    scene: ModelScene,
    predict: Predict,
    rows: Axis,
    columns: Axis,
    channels: int,
    *,
    size: int,
    start: int = 0,
) -> Generator[Strip, None, None]:
    """Yields the strips of a scene, from top to bottom.

    Windows without a valid pixel are not predicted.

    Args:
        scene: The scene.
        predict: From a batch to (B, h, w, channels).
        rows: Windows from top to bottom.
        columns: Windows from left to right.
        channels: Channels of a prediction.
        size: Windows a batch.
        start: Number of the first strip wanted; the windows above that reach into it
            are predicted again, so that it is what it would have been.

    Yields:
        The strips.
    """
    first = next(k for k in range(start + 1) if rows.end(k) > rows.offsets[start])
    blender = Blender(rows, columns, channels)
    found = window_batches(scene, rows, columns, size=size, first=first)
    with contextlib.closing(found) as batches:
        for row in range(first, len(rows.offsets)):
            for batch in batches:
                if batch.numbers:
                    predicted = predict(batch.inputs)
                    for column, values in zip(batch.numbers, predicted, strict=True):
                        blender.add(row, column, values)
                if len(batch.valid):
                    break
            done = blender.take(row)
            if row >= start:
                if not batch.valid.all():
                    done[~batch.valid] = 0
                yield Strip(row, done, batch.valid)
