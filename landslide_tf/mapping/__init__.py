"""Maps: a scene and a model in, a map out, its evaluation and what changed."""

from landslide_tf.mapping.changes import Changes, map_changes
from landslide_tf.mapping.class_changes import (
    from_class,
    new_landslides,
    stable,
    transition_matrix,
    vanished,
)
from landslide_tf.mapping.evaluate import (
    MapEvaluation,
    SizeClass,
    evaluate_map,
    write_evaluation,
)
from landslide_tf.mapping.existing import (
    check_changes,
    check_evaluation,
    check_map,
)
from landslide_tf.mapping.job import MapSummary, map_scene
from landslide_tf.mapping.output import MapOptions, Outputs
from landslide_tf.mapping.predict import Member
from landslide_tf.mapping.reference import Reference
from landslide_tf.mapping.scene import SceneFiles
from landslide_tf.mapping.series import first_step, new_objects
from landslide_tf.mapping.series_strips import NewObject
from landslide_tf.mapping.shift import estimate_shift
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.masks import Mask, MaskFiles

__all__ = [
    "Changes",
    "DemFiles",
    "MapEvaluation",
    "MapOptions",
    "MapSummary",
    "Mask",
    "MaskFiles",
    "Member",
    "NewObject",
    "Outputs",
    "Reference",
    "SceneFiles",
    "SizeClass",
    "check_changes",
    "check_evaluation",
    "check_map",
    "estimate_shift",
    "evaluate_map",
    "first_step",
    "from_class",
    "map_changes",
    "map_scene",
    "new_landslides",
    "new_objects",
    "stable",
    "transition_matrix",
    "vanished",
    "write_evaluation",
]
