"""Keras and TensorFlow start without their notes about the machine."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from landslide_tf.errors import RunError

_TENSORFLOW, _KERAS = "tensorflow", "keras"


def keep_imports_quiet() -> None:
    """Closes standard error while TensorFlow or Keras is imported for the first time.

    TensorFlow 2.21 writes notes to standard error before any log level holds, and they
    would surround the one line a user has to read. What fails raises all the same.
    Neither is imported here: a command that is refused before does without them.
    """
    if not any(isinstance(finder, _QuietFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _QuietFinder())


class _QuietFinder(MetaPathFinder):
    """Finds both as Python does, and lets them be loaded quietly."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Returns the module's specification, None for all other modules."""
        if fullname not in (_TENSORFLOW, _KERAS):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _QuietLoader(spec.loader)
        return spec


class _QuietLoader(Loader):
    """Loads a module with standard error closed, and leaves its own loader to it."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Creates the module as its own loader does.

        Raises:
            ModelError: If Keras is to compute with another backend.
        """
        if spec.name == _TENSORFLOW and _backend() not in ("", _TENSORFLOW, "jax"):
            # PyTorch beside it hangs or worse: refused while it is alone.
            importlib.import_module("landslide_tf.keras_backend")
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Runs the module.

        Raises:
            RunError: If Keras does not start, for want of its backend.
        """
        assert module.__spec__ is not None  # the import system has set it
        module.__loader__ = module.__spec__.loader = self._loader
        try:
            with _closed_error():
                self._loader.exec_module(module)
        except ImportError as error:
            if module.__name__ != _KERAS:
                raise
            raise RunError(
                f"Keras does not start ({error}): install the backend that "
                "`KERAS_BACKEND` names, `tensorflow` where it names none."
            ) from error


def _backend() -> str:
    return os.environ.get("KERAS_BACKEND", "")


@contextmanager
def _closed_error() -> Iterator[None]:
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
