"""The networks within a model of regions, for whoever fills or takes them."""

from __future__ import annotations

import keras

from landslide_tf.errors import ModelError
from landslide_tf.layers import DecodeByRegion, SelectRegion

ROUTING_LAYER = "by_region"


def trunk(model: keras.Model) -> keras.Model:
    """Returns the encoder that all regions share.

    Args:
        model: A model of `tsmu_net`.

    Returns:
        Functional model from a prepared image (batch, height, width, bands), values in
        0..1 and sizes that the stride divides, to its features.

    Example:
        >>> from landslide_tf import models
        >>> model = models.tsmu_net(
        ...     ["ETF", "NAD"],
        ...     variant="code",
        ...     trunk_filters=(2,),
        ...     decoder_filters=(2, 4),
        ... )
        >>> models.tsmu.trunk(model).input.shape
        (None, None, None, 6)
    """
    routing_layer(model)
    return model.get_layer("trunk")


def decoders(model: keras.Model) -> dict[str, keras.Model]:
    """Returns the decoder of every region, in the order of the indices.

    Args:
        model: A model of `tsmu_net`.

    Returns:
        Functional models from the trunk's features to float32 probabilities (batch,
        height, width, 1), by region.

    Example:
        >>> from landslide_tf import models
        >>> model = models.tsmu_net(
        ...     ["ETF", "NAD"],
        ...     variant="code",
        ...     trunk_filters=(2,),
        ...     decoder_filters=(2, 4),
        ... )
        >>> list(models.tsmu.decoders(model))
        ['EASTERN_TEMPERATE_FORESTS', 'NORTH_AMERICAN_DESERTS']
    """
    layer = routing_layer(model)
    names = [name for name in layer.regions if name is not None]
    if isinstance(layer, DecodeByRegion):
        return dict(zip(names, layer.decoders, strict=True))
    return {name: model.get_layer(f"decoder_{name}") for name in names}


def routing_layer(model: keras.Model) -> SelectRegion | DecodeByRegion:
    """Returns the layer that chooses the region.

    Args:
        model: A model of `tsmu_net`.

    Returns:
        The layer, which knows the regions.

    Raises:
        ModelError: If it is another model.
    """
    names = [layer.name for layer in getattr(model, "layers", [])]
    if ROUTING_LAYER not in names:
        raise ModelError(
            "Expected a model of `models.tsmu_net`, received "
            f"`{getattr(model, 'name', type(model).__name__)}`."
        )
    return model.get_layer(ROUTING_LAYER)
