"""The names of exported formats, their precisions and what runs them.

Apart from `serving`: the commands take these words, and start without what it imports.
"""

from __future__ import annotations

from typing import Literal

OtherFormat = Literal["onnx", "openvino", "litert", "deepness"]
Format = Literal["saved_model", OtherFormat, "weights"]
Precision = Literal["float32", "float16", "bfloat16", "int8"]
Runtime = Literal["onnxruntime", "openvino", "litert"]
