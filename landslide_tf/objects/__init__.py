"""Landslide objects: label, measure, match, filter."""

from landslide_tf.objects.label import boundaries, label_objects
from landslide_tf.objects.scores import ObjectCounts, ObjectScores, object_counts

__all__ = [
    "ObjectCounts",
    "ObjectScores",
    "boundaries",
    "label_objects",
    "object_counts",
]
