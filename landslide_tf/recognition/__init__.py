"""Recognition on top of maps: what changed from date to date."""

from landslide_tf.recognition.change import (
    from_class,
    new_landslides,
    stable,
    transition_matrix,
    vanished,
)
from landslide_tf.recognition.series import NewObject, first_step, new_objects

__all__ = [
    "NewObject",
    "first_step",
    "from_class",
    "new_landslides",
    "new_objects",
    "stable",
    "transition_matrix",
    "vanished",
]
