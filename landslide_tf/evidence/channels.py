"""Images whose hue, saturation or value carries the saliency."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike

from landslide_tf.choices import ChannelMode
from landslide_tf.errors import DataError, check_choice
from landslide_tf.evidence.masses import Values
from landslide_tf.evidence.saliency import checked_image

Channel: TypeAlias = Literal["h", "s", "v"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
MODES: tuple[ChannelMode, ...] = get_args(ChannelMode)


def fuse_channel(
    image: ArrayLike,
    saliency: ArrayLike,
    channel: Channel,
    mode: ChannelMode = "replace",
    output: Literal["rgb", "hsv"] = "rgb",
) -> Values:
    """Puts the saliency into one channel of the image's hue, saturation and value.

    The publication names a fusion for each of the three channels without a formula;
    replacing, as in pan-sharpening, is our definition.

    Args:
        image: Red, green, blue 0..255 (..., height, width, 3), not smoothed.
        saliency: Saliency (..., height, width) in [0, 1].
        channel: `"h"`, `"s"` or `"v"`; the other two stay.
        mode: `"replace"` c by S, `"mean"` (c + S) / 2, `"multiply"` c · S.
        output: `"rgb"`, for which weights of other images fit, or `"hsv"`.

    Returns:
        Image (..., height, width, 3) in [0, 1], float64; `to_uint8` rounds it.

    Raises:
        DataError: If an argument is not valid or the sizes differ.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import evidence
        >>> image = np.full((24, 24, 3), (200, 100, 50))
        >>> saliency = np.full((24, 24), 0.5)
        >>> fused = evidence.fuse_channel(image, saliency, "v", "multiply")
        >>> (255 * fused[0, 0]).round().tolist()
        [100.0, 50.0, 25.0]
    """
    for name, value, known in (
        ("channel", channel, CHANNELS),
        ("mode", mode, MODES),
        ("output", output, ("rgb", "hsv")),
    ):
        check_choice(name, value, known)
    values = checked_image(image) / 255
    extra = np.asarray(saliency, np.float64)
    if extra.shape != values.shape[:-1]:
        raise DataError(
            f"Expected a saliency of the image's shape {values.shape[:-1]}, received "
            f"{extra.shape}; compute it before any resize."
        )
    if not np.all((extra >= 0) & (extra <= 1)):
        raise DataError(
            f"Expected saliency in [0, 1], received {np.min(extra):g} to "
            f"{np.max(extra):g}; divide 8-bit maps by 255."
        )
    # Half a second that importing the layers need not cost.
    from skimage.color import hsv2rgb, rgb2hsv

    hsv = rgb2hsv(values)
    index = CHANNELS.index(channel)
    old = hsv[..., index]
    new = {"replace": extra, "mean": (old + extra) / 2, "multiply": old * extra}
    hsv[..., index] = new[mode]
    return hsv2rgb(hsv) if output == "rgb" else hsv
