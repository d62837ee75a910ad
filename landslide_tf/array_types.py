"""Names for array types that recur in annotations."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

# A tensor of whichever Keras backend is in use: the backends share no base class.
Tensor: TypeAlias = Any
FloatArray: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.integer[Any]]
Shape: TypeAlias = tuple[int | None, ...]
