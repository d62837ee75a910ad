"""One encoder for all regions and one decoder for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import keras

from landslide_tf.ecoregions import region_name
from landslide_tf.errors import ModelError
from landslide_tf.layers import CropTo, DecodeByRegion, SelectRegion
from landslide_tf.models import assembly
from landslide_tf.models.tsmu_parts import Network

ROUTINGS = ("all", "partition")
# Name of the layer that knows regions and arguments.
ROUTING_LAYER = "by_region"
UNIT_RANGE = (0.0, 1.0, 255.0)  # 8-bit values to 0..1, not standardised


def tsmu_net(
    regions: Sequence[str],
    *,
    variant: str = "paper",
    inputs: str = "pre_post",
    width: float = 1.0,
    trunk_filters: Sequence[int] | None = None,
    decoder_filters: Sequence[int] | None = None,
    dropout: float | None = None,
    bn_momentum: float | None = None,
    routing: str = "all",
    seed: int = 0,
    weights: str | Path | None = None,
    name: str = "tsmu_net",
) -> keras.Model:
    """Builds the network for task-specific model updates (Nagendra et al. 2022).

    A trunk shared by all regions and one decoder a region, which are models of their
    own (`models.tsmu.trunk`, `models.tsmu.decoders`); `models.tsmu.add_region` adds
    another decoder. The region of each image picks the decoder inside the graph.

    Args:
        regions: Names, in the order of their indices: ecoregions by name or code, or
            any others.
        variant: `"paper"`: a ResNet-34 encoder and U-Net decoders; `"code"`: what the
            released scripts build, full-resolution bottlenecks and a whole U-Net a
            region.
        inputs: `"pre_post"`: red, green, blue before, then after the event; `"post"`:
            after only.
        width: Multiplier of every channel count.
        trunk_filters: `"code"` only: filters of the bottlenecks in place of 8 to 128.
        decoder_filters: Filters of the decoder's steps in place of 256 to 16
            (`"paper"`) or 8 to 512 (`"code"`, from the outermost level inwards).
        dropout: Rate everywhere; None as published: 0.1, and 0.05 after the first
            pooling of `"code"`.
        bn_momentum: Of every batch normalisation; None: 0.9, and 0.99 in `"code"`.
        routing: `"all"`: every decoder runs on every image and -1 is the mean of them;
            `"partition"`: each on its own images (TensorFlow; no -1).
        seed: Of the first weights: a decoder's depend on it and on its region's name.
        weights: `.weights.h5` or `.keras` file of the whole network.
        name: Name of the model.

    Returns:
        Functional model from raw `image` (batch, height, width, 6 or 3) in 0..255 and
        int32 `region` (batch,) to float32 `probabilities` of landslide (batch, height,
        width, 1); any height and width.

    Raises:
        ModelError: If an argument or a file does not fit. In use: if an index has no
            region (`InvalidArgumentError` in a graph).
    """
    network = Network(
        variant=variant,
        inputs=inputs,
        width=width,
        trunk_filters=trunk_filters,
        decoder_filters=decoder_filters,
        dropout=dropout,
        bn_momentum=bn_momentum,
        seed=seed,
    )
    names = [region_name(region) for region in _listed(regions)]
    trunk = network.trunk()
    decoders = {region: network.decoder(region, trunk) for region in names}
    if len(decoders) < len(names):
        raise ModelError(f"`regions` must differ, received {', '.join(names)}.")
    model = assembled(network, trunk, names, decoders, routing=routing, name=name)
    assembly.load_whole_weights(model, weights)
    return model


def assembled(
    network: Network,
    trunk: keras.Model,
    regions: Sequence[str | None],
    decoders: Mapping[str, keras.Model],
    *,
    routing: str,
    name: str,
) -> keras.Model:
    """Joins a trunk and decoders, which the model takes as they are.

    Args:
        network: What the parts were built from.
        trunk: The shared encoder.
        regions: Names in the order of their indices; None for a removed one.
        decoders: One a region.
        routing: As in `tsmu_net`.
        name: Name of the model.

    Returns:
        The model.

    Raises:
        ModelError: If there is no such routing.
    """
    if routing not in ROUTINGS:
        raise ModelError(f"`routing` must be one of {ROUTINGS}, received {routing!r}.")
    image = assembly.image_input((None, None, network.bands))
    region = keras.Input((), name="region", dtype="int32")
    padded = assembly.prepared_image(image, network.stride, UNIT_RANGE)
    features = trunk(padded)
    ordered = [decoders[r] for r in regions if r is not None]
    arguments = {"network": network.config(), "name": ROUTING_LAYER}
    if routing == "all":
        probabilities = [decoder(features) for decoder in ordered]
        chosen = SelectRegion(regions, **arguments)(probabilities, region)
    else:
        chosen = DecodeByRegion(regions, ordered, **arguments)(features, padded, region)
    outputs = CropTo(dtype="float32", name="probabilities")(chosen, image)
    return keras.Model([image, region], outputs, name=name)


def _listed(regions: Sequence[str]) -> Sequence[str]:
    if isinstance(regions, str) or not len(regions):
        raise ModelError(
            f"`regions` must be a list of at least one name, received {regions!r}."
        )
    return regions
