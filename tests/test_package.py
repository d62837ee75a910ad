"""The package as it is installed: wheel, editable, public names, sizes.

`python tests/test_package.py` writes `public_names.txt` anew.
"""

import ast
import configparser
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {
    "landslide_tf": "landslide_tf",
    "landslide_tf/datasets": "datasets",
    "landslide_tf/train": "train",
    "landslide_tf/saved_models": "saved_models",
}
BUILD_FILES = ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE")
SOURCE_URL = "https://forge.example/maps/landslide_tf/blob/v1"
PUBLIC_NAMES = Path(__file__).parent / "public_names.txt"
MAX_MODULE, MAX_FUNCTION = 400, 70


def tree(root: Path = ROOT) -> dict[str, Path]:
    """Every file that belongs to the package, by its installed path."""
    return {
        f"{installed}/{file.relative_to(root / folder).as_posix()}": file
        for installed, folder in FOLDERS.items()
        for file in sorted((root / folder).rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }


def sources() -> list[Path]:
    return [file for file in tree().values() if file.suffix == ".py"]


def packages() -> list[str]:
    found = [name for name in tree() if name.endswith("/__init__.py")]
    return sorted(name.removesuffix("/__init__.py").replace("/", ".") for name in found)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A copy to build from: building leaves files beside its sources."""
    copy = tmp_path_factory.mktemp("source")
    for folder in set(FOLDERS.values()):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignored)
    for name in BUILD_FILES:
        shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, source) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    wanted = ("wheel", "--no-deps", "--no-build-isolation", "-w", out, source)
    pip(*wanted, SOURCE_URL=SOURCE_URL)
    (path,) = out.glob("*.whl")
    return path


def pip(*arguments: str | Path, **environment: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300,
        env=os.environ | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_setup_names_every_package():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert sorted(config["options"]["packages"].split()) == packages()


def test_every_folder_with_code_is_a_package():
    without = {
        file.parent for file in sources() if not (file.parent / "__init__.py").exists()
    }
    assert without == set()


def test_the_wheel_holds_the_tree_and_nothing_else(wheel, source):
    expected = tree(source)
    with zipfile.ZipFile(wheel) as archive:
        names = {n for n in archive.namelist() if ".dist-info/" not in n}
        assert names - set(expected) == set()
        for name in names:
            assert archive.read(name) == expected[name].read_bytes(), name
    assert set(expected) - names == set(), "missing from the wheel: see package_data"
    assert "landslide_tf/py.typed" in names
    assert not any("test" in Path(name).parts for name in names)


def test_builders_recipes_and_models_travel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    builders = [Path(n).parent.as_posix() for n in names if n.endswith("_builder.py")]
    assert len(builders) >= 2
    for builder in builders:
        for file in ("README.md", "CITATIONS.bib", "TAGS.txt"):
            assert f"{builder}/{file}" in names
    assert any(re.fullmatch(r"landslide_tf/train/recipes/\w+\.yaml", n) for n in names)
    assert any(n.startswith("landslide_tf/saved_models/") for n in names)


def test_the_wheel_names_its_command_and_licence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (points,) = (n for n in archive.namelist() if n.endswith("entry_points.txt"))
        assert b"landslide-tf = landslide_tf.cli.main:main" in archive.read(points)
        (metadata,) = (n for n in archive.namelist() if n.endswith("/METADATA"))
        assert b"License-File: LICENSE" in archive.read(metadata)


def test_the_page_in_a_registry_has_links_that_leave_it(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("/METADATA"))
        page = archive.read(name).decode()
    assert f"Project-URL: Source, {SOURCE_URL}" in page
    picture = f"{SOURCE_URL.replace('/blob/', '/raw/')}/docs/gallery/scene.webp"
    assert f"]({picture})" in page
    assert "](https://torchgeo.readthedocs.io)" in page
    targets = re.findall(r"\]\(([^)\s]+)\)", page)
    assert [t for t in targets if not t.startswith("https://")] == []
    below = {t for t in targets if t.startswith(SOURCE_URL)}
    assert len(below) > 20
    for target in below:
        assert (ROOT / target.removeprefix(SOURCE_URL + "/").split("#")[0]).is_file()


USE = """
import json, landslide_tf
import tensorflow_datasets as tfds
builder = tfds.builder("synthetic_landslides", data_dir="data")
listed = "mmls" in tfds.list_builders(with_community_datasets=False)
print(json.dumps([
    landslide_tf.__file__, str(builder.pkg_dir_path), builder.info.citation,
    builder.info.description, listed,
]))
"""


def use(cwd: Path, **environment: str) -> tuple[Path, Path]:
    """Uses the package in a fresh process; returns where it and a builder lie."""
    cleaned = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", USE], cwd=cwd, capture_output=True, text=True,
        timeout=120, env=cleaned | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    package, builder, citation, description, listed = found
    assert "@" in citation
    assert len(description) > 40
    assert listed
    return Path(package).parent, Path(builder)


def test_the_wheel_works_from_another_folder(wheel, tmp_path):
    target, cwd = tmp_path / "site", tmp_path / "elsewhere"
    cwd.mkdir()
    pip("install", "--no-deps", "--no-index", "--target", target, wheel)
    package, builder = use(cwd, PYTHONPATH=str(target))
    assert package == target / "landslide_tf"
    assert builder == package / "datasets" / "synthetic_landslides"


def test_the_editable_install_works_from_another_folder(tmp_path):
    records = [
        json.loads(found.read_text("direct_url.json") or "{}")
        for found in distributions(name="landslide_tf")
    ]
    if not any(r.get("dir_info", {}).get("editable") for r in records):
        pytest.skip("the package is not installed editable here")
    package, builder = use(tmp_path)
    assert package == ROOT / "landslide_tf"
    assert builder == ROOT / "datasets" / "synthetic_landslides"


def public_names() -> str:
    lines = []
    for package in packages():
        imported = importlib.import_module(package)
        names = getattr(imported, "__all__", [])
        assert len(set(names)) == len(names), f"{package}.__all__ repeats a name"
        missing = [name for name in names if not hasattr(imported, name)]
        assert not missing, f"{package} has no {missing}"
        lines += [f"{package}.{name}" for name in sorted(names)]
    return "\n".join(lines) + "\n"


def test_public_names_change_knowingly():
    stored = PUBLIC_NAMES.read_text() if PUBLIC_NAMES.exists() else ""
    assert public_names() == stored, (
        "The public names changed. If that is meant, run `python "
        "tests/test_package.py` and describe the change in CHANGELOG.md."
    )


def docstring_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a docstring: long documentation must not cost short code."""
    if ast.get_docstring(function) is None:
        return 0
    return function.body[0].end_lineno - function.body[0].lineno + 1


def test_modules_and_functions_stay_short():
    long = []
    for file in sources():
        text = file.read_text(encoding="utf-8")
        name = file.relative_to(ROOT)
        if text.count("\n") > MAX_MODULE:
            long.append(f"{name}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = node.end_lineno - node.lineno + 1 - docstring_lines(node)
                if lines > MAX_FUNCTION:
                    long.append(f"{name}: {node.name} has {lines} lines")
    assert long == []


def test_warnings_point_outside_the_package():
    own = [f for f in sources() if "warnings.warn(" in f.read_text(encoding="utf-8")]
    assert own == [], "call `landslide_tf.errors.warn`, which finds the caller's line"


def literals(tree: ast.AST) -> set[str]:
    """The lists of several words that annotations of a module spell out."""
    return {
        ast.unparse(node.slice)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple)
        if isinstance(node.value, ast.Name) and node.value.id == "Literal"
    }


def test_the_words_of_an_option_are_defined_once():
    places: dict[str, list[str]] = {}
    for file in sources():
        for words in literals(ast.parse(file.read_text(encoding="utf-8"))):
            places.setdefault(words, []).append(str(file.relative_to(ROOT)))
    twice = {words: names for words, names in places.items() if len(names) > 1}
    assert twice == {}, "define them in `landslide_tf/choices.py`"


def test_the_training_folder_stays_small():
    inside = {path.name for path in (ROOT / "train").iterdir()}
    inside -= {"__init__.py", "README.md", "__pycache__"}
    assert len(inside) <= 14, sorted(inside)


def test_nothing_that_is_read_points_outside_the_repository():
    texts = [*tree().values(), *ROOT.glob("*.md"), *ROOT.glob("*.cff")]
    texts = [file for file in texts if file.suffix not in (".pb", "")]
    found = [
        str(file.relative_to(ROOT))
        for file in texts
        if file.name != "CONTRIBUTING.md"
        and b"shared/" in file.read_bytes()
        and "variables" not in file.parts
    ]
    assert found == []


def test_the_citation_is_complete_and_current():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    version = importlib.import_module("landslide_tf.version").__version__
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == version
    assert citation["license"] == "Apache-2.0"
    (paper,) = (r for r in citation["references"] if "Spectral" in r["title"])
    assert (paper["volume"], paper["start"], paper["year"]) == (13, 5116, 2021)


def test_constraints_are_plain_pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.!+-]+", line) for line in lines)
    assert len(lines) == len({line.split("==")[0].lower() for line in lines})


if __name__ == "__main__":
    PUBLIC_NAMES.write_text(public_names())
    print(f"wrote {PUBLIC_NAMES}")
