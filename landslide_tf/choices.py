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

Permutable: TypeAlias = Literal["image", "factors"]
"""Inputs of a model that can come from another example."""
