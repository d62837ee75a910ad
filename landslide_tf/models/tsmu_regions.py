"""The trunk and the decoders of a task-specific update model, region by region."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from landslide_tf.ecoregions import ANY, NO_REGION, region_name
from landslide_tf.errors import ModelError, did_you_mean
from landslide_tf.layers import CropTo, DecodeByRegion
from landslide_tf.models import assembly
from landslide_tf.models.tsmu_net import UNIT_RANGE, Network, assembled
from landslide_tf.models.tsmu_parts import decoders, routing_layer, trunk


def regions(model: keras.Model) -> tuple[str | None, ...]:
    """Returns the names of a model's regions by index; None where one was removed.

    Example:
        >>> from landslide_tf import models
        >>> model = models.tsmu_net(
        ...     ["ETF", "NAD"],
        ...     variant="code",
        ...     trunk_filters=(2,),
        ...     decoder_filters=(2, 4),
        ... )
        >>> models.tsmu.regions(models.tsmu.remove_region(model, "ETF"))
        (None, 'NORTH_AMERICAN_DESERTS')
    """
    return routing_layer(model).regions


def network(model: keras.Model) -> Network:
    """Returns the arguments that a model's trunk and decoders were built from.

    Example:
        >>> from landslide_tf import models
        >>> model = models.tsmu_net(
        ...     ["ETF", "NAD"],
        ...     variant="code",
        ...     trunk_filters=(2,),
        ...     decoder_filters=(2, 4),
        ... )
        >>> models.tsmu.network(model).bands
        6
    """
    return Network(**routing_layer(model).network)


def routing(model: keras.Model) -> str:
    """Returns a model's `routing`, `"all"` or `"partition"`.

    Example:
        >>> from landslide_tf import models
        >>> model = models.tsmu_net(
        ...     ["ETF", "NAD"],
        ...     variant="code",
        ...     trunk_filters=(2,),
        ...     decoder_filters=(2, 4),
        ... )
        >>> models.tsmu.routing(model)
        'all'
    """
    layer = routing_layer(model)
    return "partition" if isinstance(layer, DecodeByRegion) else "all"


def prepared(model: keras.Model, image: Any) -> Any:  # noqa: ANN401 - a tensor
    """Returns what the trunk takes: a raw image padded and brought to 0..1.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import models
        >>> model = models.tsmu_net(
        ...     ["ETF", "NAD"],
        ...     variant="code",
        ...     trunk_filters=(2,),
        ...     decoder_filters=(2, 4),
        ... )
        >>> image = np.full((1, 3, 5, 6), 255.0)
        >>> prepared = models.tsmu.prepared(model, image)
        >>> tuple(prepared.shape), float(np.max(prepared))
        ((1, 4, 6, 6), 1.0)
    """
    padded = model.get_layer("image_pad")(image)
    return model.get_layer("image_normalize")(padded)


def cropped(model: keras.Model, values: Any, image: Any) -> Any:  # noqa: ANN401
    """Returns a decoder's probabilities cut to the size of the raw image.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import models
        >>> model = models.tsmu_net(
        ...     ["ETF", "NAD"],
        ...     variant="code",
        ...     trunk_filters=(2,),
        ...     decoder_filters=(2, 4),
        ... )
        >>> image = np.zeros((1, 3, 5, 6))
        >>> features = models.tsmu.trunk(model)(models.tsmu.prepared(model, image))
        >>> (first, _) = models.tsmu.decoders(model).values()
        >>> tuple(models.tsmu.cropped(model, first(features), image).shape)
        (1, 3, 5, 1)
    """
    return model.get_layer("probabilities")(values, image)


def region_indices(model: keras.Model, names: Iterable[str | int]) -> NDArray[np.int32]:
    """Returns a model's indices of regions.

    Args:
        model: A model of `tsmu_net`.
        names: Names or codes in any form, `*` for no region, or indices.

    Returns:
        int32 (regions,), -1 for no region.

    Raises:
        ModelError: If the model does not know a region.

    Example:
        >>> from landslide_tf import models
        >>> model = models.tsmu_net(
        ...     ["ETF", "NAD"],
        ...     variant="code",
        ...     trunk_filters=(2,),
        ...     decoder_filters=(2, 4),
        ... )
        >>> models.tsmu.region_indices(model, ["NAD", "*", 0]).tolist()
        [1, -1, 0]
    """
    known = regions(model)
    found = []
    for name in names:
        if isinstance(name, int | np.integer):
            if name != NO_REGION and (
                not 0 <= name < len(known) or known[name] is None
            ):
                raise ModelError(
                    f"A region's index must be from 0 to {len(known) - 1}, or -1 for "
                    f"none, received {name}."
                )
            found.append(int(name))
        elif name.strip() == ANY:
            found.append(NO_REGION)
        else:
            plain = region_name(name)
            if plain not in known:
                hint = did_you_mean(plain, [r for r in known if r])
                raise ModelError(f"The model knows no region `{name}`.{hint}")
            found.append(known.index(plain))
    return np.array(found, np.int32)


def add_region(model: keras.Model, name: str) -> keras.Model:
    """Returns a model with one more decoder and everything else untouched.

    Trunk and decoders are those of the given model, not copies: training the new model
    changes them in both.

    Args:
        model: A model of `tsmu_net`.
        name: The new region; its index follows the last one.

    Returns:
        The new model.

    Raises:
        ModelError: If the model has that region.

    Example:
        >>> from landslide_tf import models
        >>> model = models.tsmu_net(
        ...     ["ETF", "NAD"],
        ...     variant="code",
        ...     trunk_filters=(2,),
        ...     decoder_filters=(2, 4),
        ... )
        >>> models.tsmu.regions(models.tsmu.add_region(model, "WAF"))[-1]
        'WAF'
    """
    new = region_name(name)
    if new in regions(model):
        raise ModelError(f"The model has the region `{new}` already: name another.")
    parts, made = network(model), decoders(model)
    made[new] = parts.decoder(new, trunk(model))
    return assembled(
        parts,
        trunk(model),
        (*regions(model), new),
        made,
        routing=routing(model),
        name=model.name,
    )


def remove_region(model: keras.Model, name: str) -> keras.Model:
    """Returns a model without a region's decoder; the other indices stay.

    Args:
        model: A model of `tsmu_net`.
        name: The region; its index is unknown from now on and never used again.

    Returns:
        The new model, which shares its parts with the given one.

    Raises:
        ModelError: If the model has no such region or no other.

    Example:
        >>> from landslide_tf import models
        >>> model = models.tsmu_net(
        ...     ["ETF", "NAD"],
        ...     variant="code",
        ...     trunk_filters=(2,),
        ...     decoder_filters=(2, 4),
        ... )
        >>> rest = models.tsmu.remove_region(model, "ETF")
        >>> models.tsmu.region_indices(rest, ["NAD"]).tolist()  # as before
        [1]
    """
    (index,) = region_indices(model, [name])
    left = [None if k == index else r for k, r in enumerate(regions(model))]
    if index == NO_REGION or not any(left):
        raise ModelError(f"`{name}` cannot be removed: a model needs a region.")
    return assembled(
        network(model),
        trunk(model),
        left,
        decoders(model),
        routing=routing(model),
        name=model.name,
    )


def for_region(model: keras.Model, name: str) -> keras.Model:
    """Returns the network of one region, as any other network that maps images.

    Args:
        model: A model of `tsmu_net`.
        name: The region.

    Returns:
        Functional model from raw `image` to float32 `probabilities`; it shares trunk
        and decoder with the given one.

    Raises:
        ModelError: If the model has no such region.

    Example:
        >>> from landslide_tf import models
        >>> model = models.tsmu_net(
        ...     ["ETF", "NAD"],
        ...     variant="code",
        ...     trunk_filters=(2,),
        ...     decoder_filters=(2, 4),
        ... )
        >>> [tensor.name for tensor in models.tsmu.for_region(model, "NAD").inputs]
        ['image']
    """
    (index,) = region_indices(model, [name])
    if index == NO_REGION:
        raise ModelError(f"A region must be named, received `{name}`.")
    region = regions(model)[index]
    parts = network(model)
    image = assembly.image_input((None, None, parts.bands))
    padded = assembly.prepared_image(image, parts.stride, UNIT_RANGE)
    scored = decoders(model)[region](trunk(model)(padded))
    outputs = CropTo(dtype="float32", name="probabilities")(scored, image)
    return assembly.functional([image], outputs, f"{model.name}_{region}")


def copy(model: keras.Model) -> keras.Model:
    """Returns a model of the same regions and weights that shares nothing.

    Example:
        >>> from landslide_tf import models
        >>> model = models.tsmu_net(
        ...     ["ETF", "NAD"],
        ...     variant="code",
        ...     trunk_filters=(2,),
        ...     decoder_filters=(2, 4),
        ... )
        >>> twin = models.tsmu.copy(model)
        >>> models.tsmu.trunk(twin) is models.tsmu.trunk(model)
        False
    """
    parts = network(model)
    made_trunk = parts.trunk()
    names = [name for name in regions(model) if name is not None]
    made = {name: parts.decoder(name, made_trunk) for name in names}
    twin = assembled(
        parts,
        made_trunk,
        regions(model),
        made,
        routing=routing(model),
        name=model.name,
    )
    twin.set_weights(model.get_weights())
    return twin
