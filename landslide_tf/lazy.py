"""Names of a package that load when they are first used.

The package imports them under `if TYPE_CHECKING:`, for type checkers, and this module
reads from there which module holds each.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Mapping
from pathlib import Path


def modules_of(init: str) -> dict[str, str]:
    """Finds the module of each name that a package offers.

    Args:
        init: The package's `__init__.py`, its `__file__`.

    Returns:
        Module of `landslide_tf` by name.
    """
    return {
        alias.name: node.module
        for node in ast.walk(ast.parse(Path(init).read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module is not None
        for alias in node.names
        if node.module.startswith("landslide_tf.") and node.module != __name__
    }


def load_name(package: str, modules: Mapping[str, str], name: str) -> object:
    """Returns what a package calls by a name, as its `__getattr__` has to.

    Args:
        package: The package's `__name__`.
        modules: Of `modules_of`.
        name: Name that is asked for.

    Raises:
        AttributeError: If the package offers no such name.
    """
    if name in modules:
        return getattr(importlib.import_module(modules[name]), name)
    raise AttributeError(f"module {package!r} has no attribute {name!r}")
