"""Georeferenced scenes: from a user's files to training data, and to maps."""

from landslide_tf.scene.mapping import MapOptions, MapSummary, Outputs, map_scene
from landslide_tf.scene.members import Member
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
