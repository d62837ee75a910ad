"""How the tiles of CAS are split, so that no part sees the ground of another.

Apart from the builder: three schemes, each a rule of its own.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence

from landslide_tf.datasets.cas_landslide.subsets import SUBSETS
from landslide_tf.datasets.common.pairing import Pair
from landslide_tf.datasets.common.splits import SPLITS, seeded_digest, split_by_hash
from landslide_tf.datasets.common.tile_grid import Place, Position, near
from landslide_tf.errors import DataError

DROPPED = "dropped"

_BLOCK = 12  # cells a side
_SEED = 42
_TRAIN, _VALIDATION = 0.6, 0.2


@dataclasses.dataclass(frozen=True)
class Tile:
    """A tile and where it is from.

    Attributes:
        slug: Its sub set.
        pair: Its files.
        place: Its place in the picture it was cut from.
        component: Number of that picture among those of its sub set.
    """

    slug: str
    pair: Pair[str]
    place: Place
    component: int


Split = dict[str, list[Tile]]  # by part, and those of no part under `dropped`


def by_block(tiles: Sequence[Tile]) -> Split:
    """Splits blocks of 12 x 12 cells 60/20/20 by hash, with a gap between parts.

    Tiles overlap their eight neighbours. Train tiles next to a validation or test tile,
    and validation tiles next to a test tile, are of no part.

    Args:
        tiles: All tiles.

    Returns:
        Tiles by part.
    """
    part_of = {tile.pair.key: _part_of_block(tile) for tile in tiles}
    at: dict[tuple[str, str, Position], set[str]] = defaultdict(set)
    for tile in tiles:
        cell = (tile.place.y, tile.place.x)
        at[tile.slug, tile.place.component, cell].add(part_of[tile.pair.key])
    split: Split = {part: [] for part in (*SPLITS, DROPPED)}
    for tile in tiles:
        part = part_of[tile.pair.key]
        cells = near([(tile.place.y, tile.place.x)])
        keys = ((tile.slug, tile.place.component, cell) for cell in cells)
        around = set().union(*(at[key] for key in keys if key in at))
        later = SPLITS[SPLITS.index(part) + 1 :]
        split[DROPPED if around & set(later) else part].append(tile)
    return split


def at_random(tiles: Sequence[Tile]) -> Split:
    """Splits tiles 60/20/20 by hash, though neighbours share half of their pixels.

    Args:
        tiles: All tiles.

    Returns:
        Tiles by part.
    """
    found = split_by_hash(
        [tile.pair.key for tile in tiles], _SEED, test=0.2, validation=0.2
    )
    return {
        part: [tile for tile in tiles if tile.pair.key in set(names)]
        for part, names in found.items()
    }


def by_region(tiles: Sequence[Tile]) -> Split:
    """Leaves a region out for test and another one for validation.

    Args:
        tiles: All tiles.

    Returns:
        Tiles by part; the first two regions in the order of a hash are test and
        validation.

    Raises:
        DataError: If there are fewer than three regions.
    """
    regions = {SUBSETS[tile.slug].region for tile in tiles}
    if len(regions) < 3:
        raise DataError(
            "`cas_landslide` needs three regions or more to leave one out, received "
            f"{', '.join(sorted(regions))}; bring more of its archives."
        )
    order = sorted(regions, key=lambda region: seeded_digest(_SEED, region))
    parts = {order[0]: "test", order[1]: "validation"}
    split: Split = {part: [] for part in SPLITS}
    for tile in tiles:
        split[parts.get(SUBSETS[tile.slug].region, "train")].append(tile)
    return split


SCHEMES: dict[str, Callable[[Sequence[Tile]], Split]] = {
    "block": by_block,
    "random": at_random,
    "region": by_region,
}


def _part_of_block(tile: Tile) -> str:
    x, y = tile.place.x // _BLOCK, tile.place.y // _BLOCK
    digest = seeded_digest(_SEED, f"{tile.slug}:{tile.place.component}:{x}:{y}")
    share = int(digest[:13], 16) / 16**13
    return SPLITS[(share >= _TRAIN) + (share >= _TRAIN + _VALIDATION)]
