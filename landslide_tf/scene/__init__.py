"""Georeferenced scenes: from a user's files to training data, and to maps."""

from landslide_tf.scene.evaluation import (
    MapEvaluation,
    SizeClass,
    evaluate_map,
    write_evaluation,
)
from landslide_tf.scene.mapping import MapSummary, map_scene
from landslide_tf.scene.members import Member
from landslide_tf.scene.options import MapOptions, Outputs
from landslide_tf.scene.prepare import Inputs, Options, Prepared, prepare
from landslide_tf.scene.source import SceneFiles

__all__ = [
    "Inputs",
    "MapEvaluation",
    "MapOptions",
    "MapSummary",
    "Member",
    "Options",
    "Outputs",
    "Prepared",
    "SceneFiles",
    "SizeClass",
    "evaluate_map",
    "map_scene",
    "prepare",
    "write_evaluation",
]
