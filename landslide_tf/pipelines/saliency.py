"""The images that branches of the evidential classifier see: saliency in a colour."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from landslide_tf.choices import Border, Branch, ChannelMode
from landslide_tf.errors import DataError, did_you_mean
from landslide_tf.evidence import fuse_channel, multiscale_saliency, to_uint8
from landslide_tf.evidence.channels import MODES
from landslide_tf.evidence.saliency import BORDERS
from landslide_tf.pipelines.store import Example, ExampleStore
from landslide_tf.progress import with_progress

if TYPE_CHECKING:
    import tensorflow as tf

Tensors: TypeAlias = "dict[str, tf.Tensor]"


def branch_image(
    image: NDArray[np.uint8],
    branch: Branch,
    *,
    mode: ChannelMode = "replace",
    border: Border = "replicate",
) -> NDArray[np.uint8]:
    """Makes the image that one branch of the evidential classifier sees.

    Args:
        image: Red, green, blue 0..255 (..., height, width, 3), at its native size.
        branch: `"original"` (unchanged), or the channel that takes the saliency.
        mode: See `evidence.fuse_channel`.
        border: See `evidence.multiscale_saliency`.

    Returns:
        8-bit image (..., height, width, 3).

    Raises:
        DataError: If an argument or the image is not valid.
    """
    for name, value, known in (
        ("branch", branch, get_args(Branch)),
        ("mode", mode, MODES),
        ("border", border, BORDERS),
    ):
        if value not in known:
            raise DataError(
                f"`{name}` cannot be `{value}`.{did_you_mean(str(value), known)}"
            )
    if branch == "original":
        return np.asarray(image, np.uint8)
    saliency = multiscale_saliency(image, border)
    return to_uint8(fuse_channel(image, saliency, branch, mode))


def branch_map(
    branch: Branch,
    *,
    mode: ChannelMode = "replace",
    border: Border = "replicate",
) -> Callable[[Tensors], Tensors]:
    """Makes a function for `tf.data.Dataset.map` that applies `branch_image`.

    It runs NumPy inside the pipeline, so that Keras may use any backend and the
    pixels are those of the reference; `cache()` after it pays for several epochs.

    Args:
        branch: See `branch_image`.
        mode: See `branch_image`.
        border: See `branch_image`.

    Returns:
        A function from examples or batches (dictionaries with `image`, red, green, blue
        0..255) to the same with the branch's 8-bit `image`.

    Raises:
        DataError: If an argument is not valid; pipelines raise TensorFlow's error for
            images that are not.
    """
    branch_image(np.zeros((24, 24, 3), np.uint8), branch, mode=mode, border=border)

    def convert(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return branch_image(image, branch, mode=mode, border=border)

    def mapped(example: Tensors) -> Tensors:
        import tensorflow as tf

        image = tf.numpy_function(convert, [example["image"]], tf.uint8)
        image.set_shape(example["image"].shape)
        return {**example, "image": image}

    return mapped


@dataclass(frozen=True)
class Degradation:
    """A degradation of 8-bit images that is the same for an image in every process.

    Attributes:
        kind: `"noise"` (Gaussian, independent of pixel and channel) or `"blur"`
            (Gaussian, the image's edge repeated).
        amount: Standard deviation, in grey levels or pixels, above 0.

    Raises:
        DataError: If kind or amount are not valid.
    """

    kind: str
    amount: float

    def __post_init__(self) -> None:
        if self.kind not in ("noise", "blur") or not self.amount > 0:
            raise DataError(
                "Expected a degradation `noise` or `blur` of an amount above 0, "
                f"received `{self.kind}` of {self.amount}."
            )

    @property
    def name(self) -> str:
        """Kind and amount in a few letters."""
        return f"{self.kind} {self.amount:g}"

    def __call__(self, image: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
        """Returns a degraded image.

        Args:
            image: uint8 (height, width, channels).
            name: The image's id, whose CRC-32 seeds the noise.

        Returns:
            uint8 of the same shape, rounded half up and clipped.
        """
        values = np.asarray(image, np.float64)
        if self.kind == "noise":
            generator = np.random.default_rng(zlib.crc32(name.encode()))
            values = values + generator.normal(0, self.amount, values.shape)
        else:
            values = ndimage.gaussian_filter(
                values, (self.amount, self.amount, 0), mode="nearest"
            )
        return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)


DEGRADATIONS = tuple(
    Degradation(kind, float(amount))
    for kind, amounts in (("noise", (5, 10, 20)), ("blur", (1, 2, 3)))
    for amount in amounts
)


def branch_images(
    image: NDArray[np.uint8],
    branches: Sequence[Branch],
    *,
    mode: ChannelMode = "replace",
    border: Border = "replicate",
) -> dict[str, NDArray[np.uint8]]:
    """Makes the images of several branches from one saliency.

    Args:
        image: Red, green, blue 0..255 (height, width, 3), at its native size.
        branches: See `branch_image`.
        mode: See `branch_image`.
        border: See `branch_image`.

    Returns:
        8-bit images by branch, those of `branch_image`.

    Raises:
        DataError: If an argument or the image is not valid.
    """
    if all(branch == "original" for branch in branches):
        return {branch: branch_image(image, branch) for branch in branches}
    saliency = multiscale_saliency(image, border)
    return {
        branch: branch_image(image, branch)
        if branch == "original"
        else to_uint8(fuse_channel(image, saliency, branch, mode))
        for branch in branches
    }


def branch_stores(
    store: ExampleStore,
    branches: Sequence[Branch],
    *,
    mode: ChannelMode = "replace",
    border: Border = "replicate",
    degradation: Degradation | None = None,
) -> dict[str, ExampleStore]:
    """Makes the stores of several branches, images at their native size.

    Args:
        store: Examples with 8-bit red, green, blue images.
        branches: See `branch_image`.
        mode: See `branch_image`.
        border: See `branch_image`.
        degradation: Done to the images before their saliency is taken.

    Returns:
        A store by branch, with the ids and labels of `store`.

    Raises:
        DataError: If an argument or an image is not valid.
    """
    examples: dict[str, list[Example]] = {branch: [] for branch in branches}
    progress = with_progress(store.examples, "Finding saliency")
    for name, example in zip(store.ids, progress, strict=True):
        image = np.ascontiguousarray(example["image"])
        if degradation is not None:
            image = degradation(image, name)
        try:
            made = branch_images(image, branches, mode=mode, border=border)
        except DataError as error:
            raise DataError(f"Image `{name}`: {error}") from error
        for branch in branches:
            examples[branch].append({**example, "image": made[branch]})
    return {
        branch: ExampleStore(store.description, list(store.ids), examples[branch])
        for branch in branches
    }
