"""The words that options of commands and arguments of functions take.

Apart from the functions: the commands start without what these import.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

OtherFormat: TypeAlias = Literal["onnx", "openvino", "litert", "deepness"]
Format: TypeAlias = Literal["saved_model", OtherFormat, "weights"]
Precision: TypeAlias = Literal["float32", "float16", "bfloat16", "int8"]
Runtime: TypeAlias = Literal["onnxruntime", "openvino", "litert"]

Branch: TypeAlias = Literal["original", "h", "s", "v"]
"""What a branch of the evidential classifier sees."""

Variant: TypeAlias = Literal["inverse", "released", "support", "mean"]
"""How the evidence of branches is weighted."""

OracleName: TypeAlias = Literal["random", "hyperband", "bayesian"]
"""Who chooses the trials of a search."""

Overlaps: TypeAlias = Literal["latest", "probability"]
"""Which of two scenes decides ground that both show."""

TaskKind: TypeAlias = Literal["segmentation", "classification"]
"""What a network gives a class: pixels or whole images."""

Derive: TypeAlias = Literal["after", "before"]
"""When slopes are made: after elevations came onto the image's grid, or before."""

Kernel: TypeAlias = Literal["cubic", "bilinear", "nearest"]
"""How values between cells are found."""

Edges: TypeAlias = Literal["compute", "nodata"]
"""What a slope is beside cells without elevation."""

Method: TypeAlias = Literal["horn", "zevenbergen_thorne"]
"""Formula of slope and aspect."""

Distances: TypeAlias = Literal["grid", "ground"]
"""Whether metres are those of the projection or those on the ground."""

Border: TypeAlias = Literal["replicate", "zero"]
"""What saliency sees beyond an image."""

ChannelMode: TypeAlias = Literal["replace", "mean", "multiply"]
"""How saliency comes into a channel."""

View: TypeAlias = Literal["centre", "whole"]
"""What a classifier sees of an image."""

Padding: TypeAlias = Literal["mirror", "black"]
"""What a turned image shows in its corners."""

WeightRule: TypeAlias = Literal["median_frequency", "log"]
"""How weights follow from shares of classes."""

Formula: TypeAlias = Literal[
    "cross_entropy", "focal", "dice", "cross_entropy_dice", "boundary"
]
"""Loss as the authors' code computes it."""

ScheduleKind: TypeAlias = Literal["constant", "step", "cosine", "poly"]
"""How a learning rate falls."""

Decay: TypeAlias = Literal["kernels", "all"]
"""Which weights decay."""

Game: TypeAlias = Literal["cross_entropy", "least_squares"]
"""Loss of the discriminator."""

Mode: TypeAlias = Literal["max", "min"]
"""Whether a larger or a smaller score is the better one."""

Policy: TypeAlias = Literal["float32", "mixed_float16", "mixed_bfloat16"]
"""Precision of training, as Keras calls it."""
