"""Georeferenced scenes: from a user's files to training data, and to maps."""

from landslide_tf.scene.mapping import MapSummary, map_scene
from landslide_tf.scene.members import Member
from landslide_tf.scene.options import MapOptions, Outputs
from landslide_tf.scene.prepare import Inputs, Options, Prepared, prepare
from landslide_tf.scene.source import SceneFiles

__all__ = [
    "Inputs",
    "MapOptions",
    "MapSummary",
    "Member",
    "Options",
    "Outputs",
    "Prepared",
    "SceneFiles",
    "map_scene",
    "prepare",
]
