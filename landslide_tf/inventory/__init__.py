"""Inventories of landslides: a database that grows by scenes, statistics."""

from landslide_tf.inventory.entry import MappedScene
from landslide_tf.inventory.exports import (
    COOLR_COLUMNS,
    check_export,
    export_inventory,
)
from landslide_tf.inventory.ground import region_of, region_of_raster
from landslide_tf.inventory.schema import (
    CONFIDENCE,
    FIELDS,
    PARTS,
    SCENE_FIELDS,
    SCHEMA_VERSION,
    TRIGGERS,
    TYPES,
    Landslides,
    Query,
    Scene,
    Settings,
)
from landslide_tf.inventory.statistics import (
    Group,
    Statistics,
    inventory_statistics,
)
from landslide_tf.inventory.statistics_files import (
    check_statistics,
    write_density,
    write_statistics,
)
from landslide_tf.inventory.store import Store
from landslide_tf.inventory.update import AddedScene, add_scene, open_inventory
from landslide_tf.objects import (
    DensityGrid,
    FrequencyDensity,
    InverseGamma,
    PowerLaw,
    SizeSummary,
    density_grid,
    fit_inverse_gamma,
    fit_power_law,
    frequency_density,
    frequency_ratio,
    landslide_magnitude,
    magnitude_interval,
    summarize_sizes,
)

__all__ = [
    "CONFIDENCE",
    "COOLR_COLUMNS",
    "FIELDS",
    "PARTS",
    "SCENE_FIELDS",
    "SCHEMA_VERSION",
    "TRIGGERS",
    "TYPES",
    "AddedScene",
    "DensityGrid",
    "FrequencyDensity",
    "Group",
    "InverseGamma",
    "Landslides",
    "MappedScene",
    "PowerLaw",
    "Query",
    "Scene",
    "Settings",
    "SizeSummary",
    "Statistics",
    "Store",
    "add_scene",
    "check_export",
    "check_statistics",
    "density_grid",
    "export_inventory",
    "fit_inverse_gamma",
    "fit_power_law",
    "frequency_density",
    "frequency_ratio",
    "inventory_statistics",
    "landslide_magnitude",
    "magnitude_interval",
    "open_inventory",
    "region_of",
    "region_of_raster",
    "summarize_sizes",
    "write_density",
    "write_statistics",
]
