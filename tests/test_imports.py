"""What may import what, and what importing the package costs."""

import ast
import json
import subprocess
import sys
from collections.abc import Container
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


def levels() -> list[set[str]]:
    """The layers as the picture of the architecture has them, lowest first.

    The modules of the first line import each other; below it, packages import those of
    the lines above and nothing of their own line.
    """
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    picture = text.split("```layers\n")[1].split("```")[0]
    return [set(line.split()) for line in picture.splitlines()]


LEVEL = {name: level for level, names in enumerate(levels()) for name in names}
HEAVY = (
    "tensorflow",
    "keras",
    "jax",
    "torch",
    "matplotlib",
    "rasterio",
    "sklearn",
    "pydantic",
)


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


def package_of(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if parts[0] == PACKAGE and len(parts) > 1 else None


def violations(module: str, names: set[str]) -> list[str]:
    package = package_of(module)
    found = []
    for name in sorted(names):
        other = package_of(name)
        if other in (None, "__version__") or other == package:
            continue
        if other not in LEVEL:
            found.append(f"{module} imports {name}, of no level")
        elif LEVEL[other] > LEVEL[package] or 0 < LEVEL[other] == LEVEL[package]:
            found.append(f"{module} (level {LEVEL[package]}) imports {name}")
    return found


def test_the_picture_of_the_layers_shows_the_tree():
    assert set(LEVEL) == {package_of(module) for module in modules()} - {None}
    assert len(LEVEL) == sum(map(len, levels())), "a package stands on one line"


def test_imports_point_down():
    found = []
    for module, file in modules().items():
        if module != PACKAGE:
            nodes = ast.walk(tree_of(file))
            found += violations(module, imported(module, file, nodes))
    assert found == []


def known(name: str, names: Container[str]) -> str | None:
    """The module of ours that an imported dotted name lies in."""
    while name and name not in names:
        name = name.rpartition(".")[0]
    return name or None


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Some modules that import each other in a circle; empty where none do."""
    done: set[str] = set()

    def search(module: str, way: list[str]) -> list[str]:
        if module in way:
            return way[way.index(module) :]
        if module not in done:
            done.add(module)
            for other in sorted(graph[module]):
                if found := search(other, [*way, module]):
                    return found
        return []

    return next(filter(None, (search(module, []) for module in graph)), [])


def test_no_modules_import_each_other_in_a_circle():
    """Imports inside functions and for type checkers counted."""
    files = modules()
    graph = {}
    for module, file in files.items():
        names = imported(module, file, ast.walk(tree_of(file)))
        # The package itself imports all of its parts, late, and they its version.
        graph[module] = {known(n, files) for n in names} - {None, module, PACKAGE}
    del graph[PACKAGE]
    assert circle(graph) == []
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]


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
        package = package_of(module)
        banned = set()
        if package is None or LEVEL[package] <= LEVEL["pipelines"]:
            banned = {"tensorflow"}
        if (
            package is None
            or LEVEL[package] < LEVEL["layers"]
            or package in ("datasets", "report")
        ):
            banned = {"tensorflow", "keras"}
        if package == "keras_backend":  # whose import refuses some of Keras's
            banned = {"tensorflow"}
        names = imported(module, file, at_import_time(tree_of(file)))
        found += [f"{module}: {n}" for n in names if n.split(".")[0] in banned]
    assert found == []


def python(code: str, **options) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=600,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_no_framework(tmp_path):
    code = "import json, sys, landslide_tf; print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(python(code, cwd=tmp_path)))
    assert loaded & set(HEAVY) == set()
    assert "tensorflow_datasets" in loaded


@pytest.mark.integration
@pytest.mark.parametrize("order", ["landslide_tf, keras", "keras, landslide_tf"])
def test_keras_finds_our_classes_in_either_order(tmp_path, order):
    code = f"""
import json
import {order}
# Before any package is touched: looking one up would import it.
assert "landslide_tf>Conv2D" in keras.saving.get_custom_objects()
packages = landslide_tf.layers, landslide_tf.losses, landslide_tf.metrics
bases = keras.layers.Layer, keras.losses.Loss, keras.metrics.Metric
found = [
    (name, keras.saving.get_registered_object(f"landslide_tf>{{name}}") is value)
    for package in packages for name, value in vars(package).items()
    if isinstance(value, type) and issubclass(value, bases)
]
print(json.dumps(found))
"""
    found = json.loads(python(code, cwd=tmp_path).splitlines()[-1])
    assert len(found) > 3
    assert [name for name, registered in found if not registered] == []
