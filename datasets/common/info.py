"""Describing what examples hold: bands, classes, features, metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import numpy as np
import tensorflow_datasets as tfds

from landslide_tf.conventions import IGNORE_VALUE

BINARY = ("background", "landslide")
LAND_COVER = ("landslide", "building", "forest", "water", "road", "bare")


class BandInfo(TypedDict):
    """A channel of `image` or `factors`.

    `unit` is empty for counts and "1" for values scaled to a range; `range` holds the
    smallest and the largest value, `nodata` the value that stands for none. Where the
    range is not known before the files are read, building the set adds it.
    """

    name: str
    unit: str
    range: NotRequired[list[float]]
    nodata: NotRequired[float]


def byte_bands(*names: str) -> list[BandInfo]:
    """Returns bands of 8 bits.

    Args:
        *names: Their names, in order.
    """
    return [BandInfo(name=name, unit="", range=[0.0, 255.0]) for name in names]


RGB = byte_bands("red", "green", "blue")
TERRAIN = [
    BandInfo(name="slope", unit="degree", range=[0.0, 90.0]),
    BandInfo(name="aspect", unit="degree", range=[0.0, 360.0]),
    BandInfo(name="ndvi", unit="1", range=[-1.0, 1.0]),
]


def make_metadata(
    *,
    bands: Sequence[BandInfo],
    factors: Sequence[BandInfo],
    classes: Sequence[str],
    landslide_class: int,
    licence: str,
    gsd: float | None,
) -> tfds.core.MetadataDict:
    """Makes the metadata that every builder carries in `builder.info.metadata`.

    Args:
        bands: Channels of `image`, in order.
        factors: Channels of `factors`, in order; none where the feature is missing.
        classes: Names of the mask's values, from 0.
        landslide_class: Index of the landslide class.
        licence: Licence of the data.
        gsd: Ground size of a pixel, metres; None = unknown.

    Returns:
        The metadata, JSON values only, with `ignore_value` added.
    """
    return tfds.core.MetadataDict(
        bands=[dict(band) for band in bands],
        factors=[dict(factor) for factor in factors],
        classes=list(classes),
        landslide_class=landslide_class,
        ignore_value=IGNORE_VALUE,
        licence=licence,
        gsd=gsd,
    )


def make_info(
    builder: tfds.core.DatasetBuilder,
    *,
    bands: Sequence[BandInfo],
    licence: str,
    size: int | None = None,
    dtype: str = "uint8",
    images: Sequence[str] = ("image",),
    image_format: str | None = "png",
    factors: Sequence[BandInfo] = (),
    classes: Sequence[str] = BINARY,
    landslide_class: str = "landslide",
    target: str = "mask",
    inputs: Sequence[str] = ("image",),
    gsd: float | None = None,
    homepage: str | None = None,
    features: Mapping[str, tfds.features.FeatureConnector] | None = None,
) -> tfds.core.DatasetInfo:
    """Describes the examples of a builder's configuration.

    Args:
        builder: The builder.
        bands: Channels of the images, in order.
        licence: Licence of the data.
        size: Rows and columns of the images; None = they vary.
        dtype: Type of the images; those of 8 bits with 1, 3 or 4 bands are stored
            as pictures.
        images: Names of the images, two for a pair of dates.
        image_format: Format of pictures; None = TFDS's choice.
        factors: Channels of `factors`, in order; none = there is no such feature.
        classes: Names of the classes, from 0.
        landslide_class: The class that single scores are of.
        target: `mask`, or `label` where whole images have a class.
        inputs: Features that a model takes, for `as_supervised`; none = it cannot
            be asked for.
        gsd: Ground size of a pixel, metres; None = unknown.
        homepage: Address of the data set.
        features: Features beside these and `id`.

    Returns:
        What `_info` returns.
    """
    kinds = tfds.features

    def image() -> tfds.features.FeatureConnector:
        shape = (size, size, len(bands))
        if dtype == "uint8" and len(bands) in (1, 3, 4):
            return kinds.Image(shape=shape, encoding_format=image_format)
        return kinds.Tensor(shape=shape, dtype=np.dtype(dtype), encoding="zlib")

    every = {name: image() for name in images} | {"id": kinds.Text()}
    if factors:
        shape = (size, size, len(factors))
        every["factors"] = kinds.Tensor(shape=shape, dtype=np.float32, encoding="zlib")
    every[target] = (
        kinds.ClassLabel(names=list(classes))
        if target == "label"
        else kinds.LabeledImage(
            shape=(size, size, 1), labels=list(classes), encoding_format="png"
        )
    )
    taken = inputs[0] if len(inputs) == 1 else {name: name for name in inputs}
    return builder.dataset_info_from_configs(
        features=kinds.FeaturesDict(every | dict(features or {})),
        homepage=homepage,
        supervised_keys=(taken, target) if inputs else None,
        metadata=make_metadata(
            bands=bands,
            factors=factors,
            classes=classes,
            landslide_class=list(classes).index(landslide_class),
            licence=licence,
            gsd=gsd,
        ),
    )
