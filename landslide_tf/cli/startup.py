"""Starts TensorFlow without its notes about the machine."""

from __future__ import annotations

import importlib
import importlib.util
import os


def start_tensorflow() -> None:
    """Imports TensorFlow, where it is installed, with standard error closed.

    TensorFlow 2.21 writes notes to standard error before any log level holds, and they
    would surround the one line a user has to read. What fails raises all the same.
    """
    if importlib.util.find_spec("tensorflow") is None:
        return
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        importlib.import_module("tensorflow")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
