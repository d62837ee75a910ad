"""Recognition on top of maps: what changed from date to date."""

from landslide_tf.recognition.change import (
    from_class,
    new_landslides,
    stable,
    transition_matrix,
    vanished,
)
from landslide_tf.recognition.map_changes import Changes, map_changes
from landslide_tf.recognition.series import NewObject, first_step, new_objects
from landslide_tf.recognition.shift import estimate_shift

__all__ = [
    "Changes",
    "NewObject",
    "estimate_shift",
    "first_step",
    "from_class",
    "map_changes",
    "new_landslides",
    "new_objects",
    "stable",
    "transition_matrix",
    "vanished",
]
