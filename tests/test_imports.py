"""What may import what, and what importing the package costs."""

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "landslide_tf"
FOLDERS = {  # installed name: folder
    PACKAGE: ROOT / "landslide_tf",
    f"{PACKAGE}.datasets": ROOT / "datasets",
    f"{PACKAGE}.train": ROOT / "train",
    f"{PACKAGE}.saved_models": ROOT / "saved_models",
}
# Rooms import rooms of lower levels and nothing of their own; the base modules, level
# 0, import each other. A new room needs its place here and in CONTRIBUTING.md.
LEVELS = (
    {"array_types", "ecoregions", "errors", "files", "metadata", "palette", "version"},
    {"terrain", "objects", "evidence", "saved_models"},
    {"raster"},
    {"layers", "losses", "metrics"},
    {"models"},
    {"pipelines", "datasets"},
    {"train", "prepare", "mapping", "report"},
    {"serving"},
    {"demo"},
    {"cli"},
)
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
HEAVY = ("tensorflow", "keras", "jax", "torch", "matplotlib", "rasterio", "sklearn")


def module_name(file: Path) -> str:
    name, folder = max(
        (item for item in FOLDERS.items() if file.is_relative_to(item[1])),
        key=lambda item: len(item[1].parts),
    )
    parts = file.relative_to(folder).with_suffix("").parts
    return ".".join((name, *parts)).removesuffix(".__init__")


def modules() -> dict[str, Path]:
    files = [file for folder in FOLDERS.values() for file in folder.rglob("*.py")]
    return {module_name(file): file for file in sorted(files)}


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imported(module: str, file: Path, nodes) -> set[str]:
    """The dotted names that some nodes of a module import."""
    names = set()
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], base]).strip(
                    "."
                )
            names |= {f"{base}.{alias.name}" for alias in node.names}
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).endswith("import_module")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            names.add(node.args[0].value)
    return names


def at_import_time(tree: ast.Module):
    """All nodes that run when a module is imported."""
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        yield node
        waiting += ast.iter_child_nodes(node)


def room_of(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if parts[0] == PACKAGE and len(parts) > 1 else None


def violations(module: str, names: set[str]) -> list[str]:
    room = room_of(module)
    found = []
    for name in sorted(names):
        other = room_of(name)
        if other in (None, "__version__") or other == room:
            continue
        if other not in LEVEL:
            found.append(f"{module} imports {name}, of no level")
        elif LEVEL[other] > LEVEL[room] or 0 < LEVEL[other] == LEVEL[room]:
            found.append(f"{module} (level {LEVEL[room]}) imports {name}")
    return found


def test_every_room_has_its_level():
    rooms = {room_of(module) for module in modules()} - {None}
    assert rooms - set(LEVEL) == set()


def test_imports_point_down():
    found = []
    for module, file in modules().items():
        if module != PACKAGE:
            nodes = ast.walk(tree_of(file))
            found += violations(module, imported(module, file, nodes))
    assert found == []


def test_the_check_sees_a_wrong_import(tmp_path):
    module, file = f"{PACKAGE}.layers.conv", tmp_path / "conv.py"
    for line, bad in (
        ("from landslide_tf import models", True),
        ("import landslide_tf.train.engine", True),
        ("from landslide_tf.losses import cross_entropy", True),
        ("from ..models import fstf_net", True),
        ("def f():\n    from landslide_tf.cli.main import main", True),
        ("importlib.import_module('landslide_tf.models')", True),
        ("from landslide_tf.layers.resize import Resize2D", False),
        ("from . import resize", False),
        ("from landslide_tf.terrain import slope", False),
        ("from landslide_tf import __version__", False),
        ("import numpy", False),
    ):
        names = imported(module, file, ast.walk(ast.parse(line)))
        assert bool(violations(module, names)) == bad, line


def test_frameworks_are_imported_where_they_belong():
    """Models, losses and metrics must import where TensorFlow is not installed."""
    found = []
    for module, file in modules().items():
        room = room_of(module)
        banned = set()
        if room is None or LEVEL[room] <= LEVEL["pipelines"]:
            banned = {"tensorflow"}
        if (
            room is None
            or LEVEL[room] < LEVEL["layers"]
            or room in ("datasets", "report")
        ):
            banned = {"tensorflow", "keras"}
        names = imported(module, file, at_import_time(tree_of(file)))
        found += [f"{module}: {n}" for n in names if n.split(".")[0] in banned]
    assert found == []


def python(code: str, **options) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_no_framework(tmp_path):
    code = "import json, sys, landslide_tf; print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(python(code, cwd=tmp_path)))
    assert loaded & set(HEAVY) == set()
    assert "tensorflow_datasets" in loaded


@pytest.mark.parametrize("order", ["landslide_tf, keras", "keras, landslide_tf"])
def test_keras_finds_our_classes_in_either_order(tmp_path, order):
    code = f"""
import json
import {order}
# Before any room is touched: looking one up would import it.
assert "landslide_tf>Conv2D" in keras.saving.get_custom_objects()
rooms = landslide_tf.layers, landslide_tf.losses, landslide_tf.metrics
bases = keras.layers.Layer, keras.losses.Loss, keras.metrics.Metric
found = [
    (name, keras.saving.get_registered_object(f"landslide_tf>{{name}}") is value)
    for room in rooms for name, value in vars(room).items()
    if isinstance(value, type) and issubclass(value, bases)
]
print(json.dumps(found))
"""
    found = json.loads(python(code, cwd=tmp_path).splitlines()[-1])
    assert len(found) > 3
    assert [name for name, registered in found if not registered] == []
