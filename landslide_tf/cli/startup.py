"""Starts Keras and TensorFlow without their notes about the machine."""

from __future__ import annotations

import importlib
import importlib.util
import os

from landslide_tf.errors import RunError


def start_tensorflow() -> None:
    """Imports TensorFlow, where it is installed, with standard error closed.

    TensorFlow 2.21 writes notes to standard error before any log level holds, and they
    would surround the one line a user has to read. What fails raises all the same.
    """
    if os.environ.get("KERAS_BACKEND", "") not in ("", "tensorflow", "jax"):
        # PyTorch beside it hangs or worse: refused while it is alone.
        start_backend()
        importlib.import_module("landslide_tf.keras_backend")
    if importlib.util.find_spec("tensorflow") is not None:
        _import_quietly("tensorflow")


def start_backend() -> None:
    """Imports Keras, and TensorFlow only where it is Keras's backend.

    Raises:
        RunError: If the backend that the user has chosen is not installed.
    """
    try:
        _import_quietly("keras")
    except ImportError as error:
        raise RunError(
            f"Keras does not start ({error}): install the backend that "
            "`KERAS_BACKEND` names, `tensorflow` where it names none."
        ) from error


def _import_quietly(name: str) -> None:
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        importlib.import_module(name)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
