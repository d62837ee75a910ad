"""From a user's own scenes to a data set, a recipe and the command that trains."""

from landslide_tf.datasets.common.patches import Patch, superpixel_patches
from landslide_tf.datasets.common.sampling import Draw, multistage_sample
from landslide_tf.prepare.folder import Prepared, prepare
from landslide_tf.prepare.inputs import Inputs, Options
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.masks import Mask, MaskFiles

__all__ = [
    "DemFiles",
    "Draw",
    "Inputs",
    "Mask",
    "MaskFiles",
    "Options",
    "Patch",
    "Prepared",
    "multistage_sample",
    "prepare",
    "superpixel_patches",
]
