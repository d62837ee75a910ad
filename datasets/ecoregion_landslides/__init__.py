"""Ecoregion landslides: pairs of images before and after, region by region."""

from landslide_tf.datasets.ecoregion_landslides.boxes import (
    Box,
    PairName,
    parse_pair_name,
    split_boxes,
)
from landslide_tf.datasets.ecoregion_landslides.collect import (
    Collection,
    collect_pairs,
)
from landslide_tf.datasets.ecoregion_landslides.ecoregion_landslides_dataset_builder import (  # noqa: E501
    Builder,
)
from landslide_tf.datasets.ecoregion_landslides.plan import (
    PlannedPair,
    plan_pairs,
    write_plan,
)
from landslide_tf.datasets.ecoregion_landslides.tables import (
    BoxedPair,
    Event,
    Fault,
    read_figure_pairs,
    read_inventory,
    read_pairs,
)
from landslide_tf.ecoregions import CODES, REGIONS, region_index

__all__ = [
    "CODES",
    "REGIONS",
    "Box",
    "BoxedPair",
    "Builder",
    "Collection",
    "Event",
    "Fault",
    "PairName",
    "PlannedPair",
    "collect_pairs",
    "parse_pair_name",
    "plan_pairs",
    "read_figure_pairs",
    "read_inventory",
    "read_pairs",
    "region_index",
    "split_boxes",
    "write_plan",
]
