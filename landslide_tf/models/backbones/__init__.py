"""Encoders that the networks share."""

from landslide_tf.models.backbones.resnet import check_resnet, resnet
from landslide_tf.models.backbones.vgg import vgg16

__all__ = ["check_resnet", "resnet", "vgg16"]
