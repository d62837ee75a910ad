"""Landslide objects: label, outline, measure, match, and what their sizes say."""

from landslide_tf.objects.attributes import (
    AMALGAMATED,
    TERRAIN,
    amalgamated,
    measure,
    pixel_attributes,
    shape_attributes,
)
from landslide_tf.objects.density import (
    DensityGrid,
    density_grid,
    frequency_ratio,
)
from landslide_tf.objects.label import boundaries, label_objects
from landslide_tf.objects.outlines import (
    equal_area_system,
    in_metres,
    multi_polygon,
    outlines,
)
from landslide_tf.objects.rules import (
    ATTRIBUTES,
    DEFAULT_RULES,
    Filtered,
    Rule,
    apply_rules,
    fit_geologic_rules,
    read_rules,
    write_rules,
)
from landslide_tf.objects.scores import ObjectCounts, ObjectScores, object_counts
from landslide_tf.objects.size_laws import (
    InverseGamma,
    PowerLaw,
    fit_inverse_gamma,
    fit_power_law,
)
from landslide_tf.objects.sizes import (
    FrequencyDensity,
    SizeSummary,
    frequency_density,
    landslide_magnitude,
    magnitude_interval,
    summarize_sizes,
)
from landslide_tf.objects.zones import zonal_means

__all__ = [
    "AMALGAMATED",
    "ATTRIBUTES",
    "DEFAULT_RULES",
    "TERRAIN",
    "DensityGrid",
    "Filtered",
    "FrequencyDensity",
    "InverseGamma",
    "ObjectCounts",
    "ObjectScores",
    "PowerLaw",
    "Rule",
    "SizeSummary",
    "amalgamated",
    "apply_rules",
    "boundaries",
    "density_grid",
    "equal_area_system",
    "fit_geologic_rules",
    "fit_inverse_gamma",
    "fit_power_law",
    "frequency_density",
    "frequency_ratio",
    "in_metres",
    "label_objects",
    "landslide_magnitude",
    "magnitude_interval",
    "measure",
    "multi_polygon",
    "object_counts",
    "outlines",
    "pixel_attributes",
    "read_rules",
    "shape_attributes",
    "summarize_sizes",
    "write_rules",
    "zonal_means",
]
