"""Trained models that come with the package, and their index.

`index.json` names each model with the command that rebuilds it, the scores it was
published with and the SHA-256 sums of its files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from landslide_tf.errors import ModelError, did_you_mean
from landslide_tf.files import sha256

_FOLDER = Path(__file__).parent


def index() -> dict[str, dict[str, Any]]:
    """Returns what is shipped, JSON values by name.

    Returns:
        `title`, `command`, `data`, `scores`, `licence` and `sha256`, the sums of the
        files by their paths in the model's folder.
    """
    return json.loads((_FOLDER / "index.json").read_text())


def path(name: str) -> Path:
    """Returns the folder of a shipped model, which holds its versions.

    Args:
        name: A name of `index()`.

    Returns:
        The folder: of SavedModels for `serving.load` or a TensorFlow Serving
        configuration, or of weights for the networks of `models`.

    Raises:
        ModelError: If no such model is shipped, or a file of it is damaged.
    """
    known = index()
    if name not in known:
        raise ModelError(f"There is no shipped model `{name}`.{did_you_mean(name, known)}")
    folder = _FOLDER / name
    for file, expected in known[name]["sha256"].items():
        found = sha256(folder / file) if (folder / file).is_file() else "no file"
        if found != expected:
            raise ModelError(
                f"`{folder / file}` is damaged: expected the SHA-256 sum `{expected}`, "
                f"received `{found}`: install landslide_tf again."
            )
    return folder
