"""Items of a SpatioTemporal Asset Catalog: which file holds which band.

Read as the JSON that they are, so that reading a list needs no further package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from landslide_tf.errors import DataError
from landslide_tf.metadata import ModelMetadata

_NDVI = ("red", "nir")
_ELEVATIONS = ("dem", "elevation", "dsm", "dtm")
_OTHERS = {"thumbnail", "overview", "metadata"}  # roles of what is no image


class Asset(NamedTuple):
    """Where a band is.

    Attributes:
        href: The file.
        number: The band in it, from 1.
        bands: How many bands it holds.
    """

    href: str
    number: int
    bands: int


class Item(NamedTuple):
    """A scene of a catalogue.

    Attributes:
        id: Its id.
        date: Its date or time; empty where it has none.
        bands: Files by the names of their bands: the name and the common name of each,
            and of a file of one band the key of the asset.
        dem: Files of elevations.
    """

    id: str
    date: str
    bands: dict[str, Asset]
    dem: tuple[str, ...]


def read_items(path: Path, content: object) -> list[Item]:
    """Reads the items of a STAC ItemCollection.

    Args:
        path: Its file, for messages.
        content: What the file holds.

    Returns:
        The items.

    Raises:
        DataError: If it is none, or an item lacks its id or its assets.

    >>> from pathlib import Path
    >>> from landslide_tf.region.stac_items import read_items
    >>> asset = {"href": "B04.tif", "eo:bands": [{"name": "B04", "common_name": "red"}]}
    >>> item = {"type": "Feature", "id": "a", "assets": {"B04": asset}}
    >>> found = read_items(
    ...     Path("items.json"), {"type": "FeatureCollection", "features": [item]}
    ... )
    >>> found[0].bands["red"].href
    'B04.tif'
    """
    features = content.get("features") if isinstance(content, dict) else None
    if not isinstance(features, list):
        raise DataError(
            f"scenes `{path}` must be a STAC ItemCollection (a `FeatureCollection` "
            "with `features`), received other JSON."
        )
    return [_item(path, feature) for feature in features]


def band_files(
    scene: str, assets: Mapping[str, Asset], metadata: ModelMetadata
) -> tuple[tuple[str, ...], dict[str, int | str]]:
    """Chooses the files that hold the bands of a model.

    Args:
        scene: The scene's id, for messages.
        assets: Files by the names of their bands.
        metadata: The model.

    Returns:
        The files, and the number of each band counted through them.

    Raises:
        DataError: If a band is in no file, or in one of several bands beside others.

    >>> from landslide_tf.metadata import Band, ModelMetadata
    >>> from landslide_tf.region.stac_items import Asset, band_files
    >>> metadata = ModelMetadata(
    ...     name="red", builder="unet", arguments={}, inputs=[Band(name="red")],
    ...     classes=["landslide"], landslide_class="sigmoid",
    ... )
    >>> band_files("a", {"red": Asset("rgb.tif", 1, 3)}, metadata)
    (('rgb.tif',), {'red': 1})
    """
    wanted = [band.name for band in metadata.inputs]
    if any(factor.name == "ndvi" for factor in metadata.factors):
        wanted += [name for name in _NDVI if name not in wanted and name in assets]
    for name in wanted:
        if name not in assets:
            raise DataError(
                f"scene `{scene}` must have an asset with the band `{name}`, received "
                f"{', '.join(f'`{known}`' for known in sorted(assets)) or 'none'}."
            )
    chosen = {name: assets[name] for name in wanted}
    files = tuple(dict.fromkeys(asset.href for asset in chosen.values()))
    if len(files) == 1:
        return files, {name: asset.number for name, asset in chosen.items()}
    if any(asset.bands > 1 for asset in chosen.values()):
        raise DataError(
            f"scene `{scene}` must have its bands in one file, or each in a file of "
            "its own, received both; join them (`gdalbuildvrt -separate`)."
        )
    return files, {name: files.index(a.href) + 1 for name, a in chosen.items()}


def _item(path: Path, feature: object) -> Item:
    known = feature if isinstance(feature, dict) else {}
    name, assets = known.get("id"), known.get("assets")
    if not isinstance(name, str) or not isinstance(assets, dict) or not assets:
        raise DataError(
            f"scenes `{path}`: an item must have an `id` and `assets`, received "
            f"{f'`{name}`' if name else 'one'} without."
        )
    properties = known.get("properties") or {}
    date = properties.get("datetime") or properties.get("end_datetime") or ""
    bands: dict[str, Asset] = {}
    dem: list[str] = []
    for key, asset in assets.items():
        href = asset.get("href") if isinstance(asset, dict) else None
        if not isinstance(href, str) or not href:
            raise DataError(
                f"scenes `{path}`: asset `{key}` of item `{name}` must have an `href`."
            )
        if not _OTHERS.isdisjoint(asset.get("roles") or ()):
            continue
        if key.lower() in _ELEVATIONS:
            dem.append(href)
            continue
        for band, place in _bands(key, href, asset):
            bands.setdefault(band, place)
    return Item(name, str(date), bands, tuple(dem))


def _bands(key: str, href: str, asset: Mapping[str, Any]) -> list[tuple[str, Asset]]:
    """Returns the bands of an asset by every name they have."""
    # Version 1.1 of the specification has `bands`, those before the extension's.
    described: Sequence[Any] = asset.get("bands") or asset.get("eo:bands") or ()
    found: list[tuple[str, Asset]] = []
    for number, band in enumerate(described, 1):
        if not isinstance(band, dict):
            continue
        names = (band.get(n) for n in ("name", "common_name", "eo:common_name"))
        place = Asset(href, number, len(described))
        found += [(name, place) for name in names if isinstance(name, str)]
    if len(described) <= 1:
        found.append((key, Asset(href, 1, 1)))
    return found
