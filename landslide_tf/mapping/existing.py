"""What the commands about maps may replace: what they wrote themselves before.

Apart from the writers, for all of it is asked before anything expensive.
"""

from __future__ import annotations

import functools
import json
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import pyogrio

from landslide_tf.errors import DataError
from landslide_tf.mapping.output import Outputs, parts_folder
from landslide_tf.mapping.polygons import LAYER
from landslide_tf.mapping.scene import SceneFiles
from landslide_tf.mapping.strips import holds_strips
from landslide_tf.mapping.styles import is_style
from landslide_tf.outputs import check_own, check_own_folder
from landslide_tf.raster.legend import names_file
from landslide_tf.raster.names import FilePath, short_name
from landslide_tf.raster.opening import open_raster
from landslide_tf.raster.outputs import check_outputs, is_geopackage
from landslide_tf.raster.polygons import driver_of
from landslide_tf.raster.vector_layer import vector_path

IMAGE = "IMAGE"
"""Tag of a map's rasters: names of the images it was made of, a JSON list."""

CHANGES = "changes.json"
_VERSION = "LANDSLIDE_TF_VERSION"
_FIELDS = {"id", "area_px", "area_m2"}
_POLICY = b"content=\"default-src 'none'; img-src data:; script-src 'sha"
_EVALUATION = {"pixels", "objects", "sizes", "ignored"}
_STEP = re.compile(
    r"((new|from)_\d+|first_step)\.(tif|tif\.aux\.xml|qml)|new_landslides\.(gpkg|qml)"
)


def check_map(
    outputs: Outputs,
    files: SceneFiles,
    *,
    report: Path | None = None,
    models: Sequence[FilePath | None] = (),
) -> None:
    """Checks that the outputs of a map overwrite no input and no unrelated file.

    Args:
        outputs: The files to write.
        files: The scene.
        report: The page, if one is written.
        models: Names of the models, as a command takes them, and other files of theirs.

    Raises:
        DataError: If there is such an output.

    >>> from pathlib import Path
    >>> from landslide_tf.mapping import Outputs, SceneFiles, check_map
    >>> check_map(Outputs(Path("map.tif")), SceneFiles(("image.tif",)))
    """
    for path in outputs.vector:
        driver_of(path)
    parts = parts_folder(outputs.out)
    check_outputs([*outputs.paths, report, parts], [*files.read, *_model_files(models)])
    for raster in (outputs.out, outputs.probabilities, outputs.uncertainty):
        if raster is not None and raster.suffix.lower() not in (".tif", ".tiff"):
            raise DataError(
                f"`{raster}` must end in .tif or .tiff: maps are written as GeoTIFF; "
                "convert one with `gdal_translate`."
            )
    _check_parts(parts)
    names = image_names(files)
    rasters = {
        "class map": outputs.out,
        "probabilities": outputs.probabilities,
        "uncertainty": outputs.uncertainty,
    }
    for what, given in rasters.items():
        is_own = functools.partial(_is_raster, what=what, names=names)
        check_own(given, what, is_own, overwrite=outputs.overwrite)
    for path in outputs.vector:
        _check_closed(path)
        polygons = _has_own_layer if driver_of(path) == "GPKG" else _has_fields
        check_own(path, "polygons", polygons, overwrite=outputs.overwrite)
    for path in outputs.styles:
        check_own(path, "style", is_style, overwrite=outputs.overwrite)
    # Whatever else GDAL keeps beside an earlier map goes with it.
    own_map = functools.partial(_is_raster, outputs.out, what="class map", names=names)
    named = names_file(outputs.out)
    check_own(named, "names", lambda _: own_map(), overwrite=outputs.overwrite)
    check_own(report, "page", is_page, overwrite=outputs.overwrite)


def check_evaluation(
    path: Path | None, read: Sequence[FilePath | None], *, overwrite: bool = False
) -> None:
    """Checks that the evaluation of a map overwrites no input and no unrelated file.

    Raises:
        DataError: If the file is of such a kind.

    >>> from pathlib import Path
    >>> from landslide_tf.mapping import check_evaluation
    >>> check_evaluation(Path("scores.json"), ["map.tif", "truth.geojson"])
    """
    check_outputs([path], read)
    check_own(path, "evaluation", _is_evaluation, overwrite=overwrite)


def check_changes(
    maps: Sequence[FilePath],
    out: FilePath,
    *,
    read: Sequence[FilePath | None] = (),
    report: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Checks that a folder for changes holds no input and no unrelated file.

    Args:
        maps: The maps that are compared.
        out: The folder.
        read: What else is read.
        report: The page, if one is written.
        overwrite: Whether changes between other maps are replaced.

    Raises:
        DataError: If something else is there.

    >>> from landslide_tf.mapping import check_changes
    >>> check_changes(["2020.tif", "2021.tif"], "changes", read=["dem.tif"])
    """
    folder = Path(out)
    check_outputs([folder, report], [*maps, *read])
    check_own(report, "page", is_page, overwrite=overwrite)
    check_own_folder(
        folder,
        "changes",
        _is_of_changes,
        lambda folder: _compared(folder) == [str(path) for path in maps],
        overwrite=overwrite,
    )


def image_names(files: SceneFiles) -> str:
    """Returns the tag that says of what images a raster was made."""
    return json.dumps([short_name(name) for name in files.image])


def is_page(path: Path) -> bool:
    """Returns whether a file is a page about maps."""
    with path.open("rb") as stream:
        return _POLICY in stream.read(4096)


def _model_files(models: Sequence[FilePath | None]) -> list[Path]:
    """Returns what is read of models: of a run folder the network alone."""
    found = []
    for path in (Path(name) for name in models if name is not None):
        run = (path / "model.keras").is_file()
        found += [path / "model.keras", path / "model.json"] if run else [path]
    return found


def _check_parts(folder: Path) -> None:
    """Refuses a folder of strips that is something else: it would be emptied."""
    if folder.exists() and not holds_strips(folder):
        raise DataError(
            f"`{folder}` is where finished strips are kept, and something else is "
            "there: name another `--out`."
        )


def _check_closed(path: Path) -> None:
    """Refuses a GeoPackage that another program is changing."""
    for end in ("-wal", "-journal"):
        journal = path.with_name(path.name + end)
        if journal.is_file() and journal.stat().st_size:
            raise DataError(
                f"`{path}` is open in another program (`{journal.name}`): close it "
                "there first, or name another file."
            )


def _is_raster(path: Path, *, what: str, names: str) -> bool:
    with open_raster(path, what) as dataset:
        tags, first = dataset.tags(), dataset.descriptions[0]
    kinds = {"class": "class map", "entropy": "uncertainty"}
    return (
        _VERSION in tags
        and tags.get(IMAGE, names) == names
        and kinds.get(str(first), "probabilities") == what
    )


def _has_own_layer(path: Path) -> bool:
    """Whether a GeoPackage has no layer of our name, or one that a map wrote."""
    if not is_geopackage(path):
        return False
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # if empty
        names = [str(name) for name in pyogrio.list_layers(vector_path(path))[:, 0]]
    # SQLite takes names that differ in case for one.
    taken = [name for name in names if name.lower() == LAYER]
    return not taken or _has_fields(path, layer=taken[0])


def _has_fields(path: Path, layer: str | None = None) -> bool:
    """Whether a layer has the attributes of mapped landslides."""
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        info = pyogrio.read_info(
            vector_path(path), layer=layer, force_feature_count=True
        )
    if info["layer_name"] != LAYER:
        return False
    return set(info["fields"]) >= _FIELDS or not info["features"]


def _is_evaluation(path: Path) -> bool:
    content = json.loads(path.read_text(encoding="utf-8"))
    return isinstance(content, dict) and content.keys() - {"masked"} == _EVALUATION


def _is_of_changes(path: Path) -> bool:
    """Whether an entry of a folder of changes is one that `changes` writes there."""
    if path.suffix == ".html" and path.is_file():
        return is_page(path)
    return path.is_file() and bool(path.name == CHANGES or _STEP.fullmatch(path.name))


def _compared(folder: Path) -> list[str]:
    """Returns the maps whose changes a folder holds."""
    content = json.loads((folder / CHANGES).read_text(encoding="utf-8"))
    return [str(path) for path in content["maps"]]
