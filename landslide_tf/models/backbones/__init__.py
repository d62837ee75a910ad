"""Encoders that the networks share."""

from landslide_tf.models.backbones.pretrained import Stem, stem_kernel
from landslide_tf.models.backbones.resnet import check_resnet, resnet
from landslide_tf.models.backbones.vgg import vgg16

__all__ = ["Stem", "check_resnet", "resnet", "stem_kernel", "vgg16"]
