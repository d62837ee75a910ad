"""Small reference exports and their index.

`index.json` names each export with the command that rebuilds it and the scores it was
published with.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from landslide_tf.errors import ModelError, did_you_mean

_FOLDER = Path(__file__).parent


def index() -> dict[str, dict[str, Any]]:
    """Returns what is shipped, JSON values by name: `command`, `data`, `scores`."""
    return json.loads((_FOLDER / "index.json").read_text())


def path(name: str) -> Path:
    """Returns the folder of a shipped SavedModel, which holds its versions.

    Args:
        name: A name of `index()`.

    Returns:
        The folder, for `serving.load` or a TensorFlow Serving configuration.

    Raises:
        ModelError: If no such model is shipped.
    """
    if name not in index():
        raise ModelError(
            f"There is no shipped model `{name}`.{did_you_mean(name, index())}"
        )
    return _FOLDER / name
