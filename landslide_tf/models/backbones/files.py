"""Reading weight files so that whatever is wrong with them is an error."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import keras

# What Keras, h5py and zipfile raise for files that are corrupt or do not fit.
UNREADABLE = (ValueError, KeyError, OSError, zipfile.BadZipFile)


def load_strictly(model: keras.Model, path: Path) -> None:
    """Loads a `.weights.h5` or `.keras` file; every weight of the model must be in it.

    Args:
        model: A built model.
        path: The file.

    Raises:
        Exception: One of `UNREADABLE`, if the file cannot be read or does not fit.
    """
    with warnings.catch_warnings():
        # Keras names each layer a second time by its depth in the graph and warns
        # where these names differ; the first way raises where a weight is missing.
        warnings.filterwarnings("ignore", message="Skipping nested container")
        model.load_weights(path)


def one_line(error: Exception) -> str:
    """Returns what an exception says as one line without a full stop."""
    return " ".join(str(error).split())[:300].rstrip(". ")
