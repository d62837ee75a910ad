"""Keras layers that several networks share."""

from landslide_tf.layers.aspp import ImagePooling, aspp
from landslide_tf.layers.batch_norm import BatchNormalization
from landslide_tf.layers.bilinear import BilinearUpsampling
from landslide_tf.layers.blocks import (
    batch_normalized,
    conv_bn_relu,
    separable_conv_bn_relu,
)
from landslide_tf.layers.channel_saliency import ChannelSaliencyFusion
from landslide_tf.layers.concat_conv import ConcatConv2D
from landslide_tf.layers.conv import Conv2D
from landslide_tf.layers.evidential_fusion import EvidentialFusion
from landslide_tf.layers.factors import EncodeFactors, FactorKind
from landslide_tf.layers.fixed_resize import FixedResize2D
from landslide_tf.layers.normalize import Normalization, Normalize
from landslide_tf.layers.padding import CropTo, PadToStride
from landslide_tf.layers.regions import DecodeByRegion, SelectRegion
from landslide_tf.layers.rep_vgg import RepVggBlock
from landslide_tf.layers.residual_convolution import residual_convolution
from landslide_tf.layers.resize import Resize2D
from landslide_tf.layers.saliency import MultiScaleSaliency
from landslide_tf.layers.triangle_fork import GroupWeighting, adaptive_triangle_fork
from landslide_tf.layers.width import scaled_channels

__all__ = [
    "BatchNormalization",
    "BilinearUpsampling",
    "ChannelSaliencyFusion",
    "ConcatConv2D",
    "Conv2D",
    "CropTo",
    "DecodeByRegion",
    "EncodeFactors",
    "EvidentialFusion",
    "FactorKind",
    "FixedResize2D",
    "GroupWeighting",
    "ImagePooling",
    "MultiScaleSaliency",
    "Normalization",
    "Normalize",
    "PadToStride",
    "RepVggBlock",
    "Resize2D",
    "SelectRegion",
    "adaptive_triangle_fork",
    "aspp",
    "batch_normalized",
    "conv_bn_relu",
    "residual_convolution",
    "scaled_channels",
    "separable_conv_bn_relu",
]
