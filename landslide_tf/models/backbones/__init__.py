"""Encoders that the networks share."""

from landslide_tf.models.backbones.encoders import check_encoder, encoder
from landslide_tf.models.backbones.pretrained import Stem, stem_kernel
from landslide_tf.models.backbones.resnet import resnet
from landslide_tf.models.backbones.vgg import vgg16

__all__ = [
    "Stem",
    "check_encoder",
    "encoder",
    "resnet",
    "stem_kernel",
    "vgg16",
]
