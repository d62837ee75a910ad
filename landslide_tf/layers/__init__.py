"""Keras layers that several networks share."""

import landslide_tf.keras_backend  # noqa: F401 - refuses other backends
from landslide_tf.layers.attention import (
    MergePatches,
    SelfAttention,
    WindowAttention,
)
from landslide_tf.layers.batch_norm import BatchNormalization
from landslide_tf.layers.blocks import (
    ImagePooling,
    aspp,
    batch_normalized,
    conv_bn_relu,
    scaled_channels,
    separable_conv_bn_relu,
)
from landslide_tf.layers.conv import ConcatConv2D, Conv2D, DepthwiseConv2D
from landslide_tf.layers.evidential import (
    ChannelSaliencyFusion,
    EvidentialFusion,
    MultiScaleSaliency,
)
from landslide_tf.layers.gated_convolution import GatedConvolution
from landslide_tf.layers.padding import CropTo, PadToStride, SameSize
from landslide_tf.layers.preprocessing import (
    EncodeFactors,
    FactorKind,
    Factors,
    Normalization,
    Normalize,
    SelectChannels,
)
from landslide_tf.layers.regions import DecodeByRegion, SelectRegion
from landslide_tf.layers.rep_vgg import RepVggBlock
from landslide_tf.layers.resize import BilinearUpsampling, FixedResize2D, Resize2D
from landslide_tf.layers.tokens import ClassToken, FirstToken, LayerScale
from landslide_tf.layers.triangle_fork import (
    GroupWeighting,
    adaptive_triangle_fork,
    residual_convolution,
)

__all__ = [
    "BatchNormalization",
    "BilinearUpsampling",
    "ChannelSaliencyFusion",
    "ClassToken",
    "ConcatConv2D",
    "Conv2D",
    "CropTo",
    "DecodeByRegion",
    "DepthwiseConv2D",
    "EncodeFactors",
    "EvidentialFusion",
    "FactorKind",
    "Factors",
    "FirstToken",
    "FixedResize2D",
    "GatedConvolution",
    "GroupWeighting",
    "ImagePooling",
    "LayerScale",
    "MergePatches",
    "MultiScaleSaliency",
    "Normalization",
    "Normalize",
    "PadToStride",
    "RepVggBlock",
    "Resize2D",
    "SameSize",
    "SelectChannels",
    "SelectRegion",
    "SelfAttention",
    "WindowAttention",
    "adaptive_triangle_fork",
    "aspp",
    "batch_normalized",
    "conv_bn_relu",
    "residual_convolution",
    "scaled_channels",
    "separable_conv_bn_relu",
]
