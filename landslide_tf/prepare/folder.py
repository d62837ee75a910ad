"""What `prepare` writes: a data set, a recipe, and the ground of each split."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyproj
import rasterio
import shapely
import tensorflow_datasets as tfds
import yaml

from landslide_tf.datasets import landslide_scenes
from landslide_tf.datasets.common.splits import SPLITS
from landslide_tf.datasets.landslide_scenes.landslide_scenes_dataset_builder import (
    PREPARED,
)
from landslide_tf.datasets.landslide_scenes.plan import Plan
from landslide_tf.datasets.landslide_scenes.tiles import Tile
from landslide_tf.files import atomic_folder, sha256
from landslide_tf.outputs import check_own_folder
from landslide_tf.prepare.inputs import Inputs, Options
from landslide_tf.prepare.plan import find_inputs, make_plan, taken_of
from landslide_tf.prepare.recipe import advice, make_recipe
from landslide_tf.raster.antimeridian import cut_at_antimeridian, polygons_of
from landslide_tf.raster.grid import mean_cell
from landslide_tf.raster.labels import LANDSLIDE
from landslide_tf.raster.outputs import check_outputs
from landslide_tf.raster.reprojection import reprojected
from landslide_tf.raster.scene import Scene
from landslide_tf.raster.scene_reader import SceneReader
from landslide_tf.raster.systems import LONLAT, ground_system, system_of
from landslide_tf.terrain import Grid

RECIPE, GROUND, MADE_OF = "recipe.yaml", "ground", "prepared.json"
# A straight edge on the grid is curved in degrees, by next to nothing over some cells.
_CELLS = 8
# GDAL keeps blocks it has read, else up to a twentieth of the machine's memory; every
# window is read once or twice and needs few of them.
_CACHE = 2**27  # bytes


@dataclass(frozen=True)
class Prepared:
    """Result of `prepare`.

    Attributes:
        folder: The folder, to be named as `--data-dir`.
        dataset: The TFDS folder in it, for `tfds.builder_from_directory`.
        recipe: The recipe.
        counts: Examples by split.
        report: What was found, left out and why, and class shares by split.
        landslide: What the labels call the landslide class.
        taken: Lines on what was taken: layers and fields of vector files, and bands.
        advice: A line on what would make a better recipe, None where nothing is known.

    >>> from pathlib import Path
    >>> from landslide_tf.prepare import Prepared
    >>> folder = Path("prepared")
    >>> recipe = folder / "recipe.yaml"
    >>> made = Prepared(folder, folder / "data", recipe, {"train": 9}, {})
    >>> made.train_command
    'landslide-tf train prepared/recipe.yaml --data-dir prepared --out runs/prepared'
    """

    folder: Path
    dataset: Path
    recipe: Path
    counts: Mapping[str, int]
    report: Mapping[str, Any]
    landslide: str = LANDSLIDE
    taken: tuple[str, ...] = ()
    advice: str | None = None

    @property
    def train_command(self) -> str:
        """The command that trains on it, into a run of the folder's name."""
        run = Path("runs", self.folder.absolute().name)
        words = ["train", self.recipe, "--data-dir", self.folder, "--out", run]
        return shlex.join(map(str, ["landslide-tf", *words]))


# TFDS, which brings no hints, takes the argument away.
class _Builder(landslide_scenes.Builder, skip_registration=True):  # type: ignore[call-arg]
    """The registered builder, for a configuration that is not in its list."""

    name = "landslide_scenes"
    BUILDER_CONFIGS = ()  # type: ignore[assignment]


def prepare(
    scenes: Iterable[Inputs],
    out: str | Path,
    options: Options | None = None,
    *,
    overwrite: bool = False,
) -> Prepared:
    """Makes a data set of scenes, with a recipe that trains on it.

    Image, elevations, vegetation index and labels come onto one grid a scene (Xia et
    al. 2021, section 2.2); slope and aspect are computed there. Scenes are split so
    that no ground is shared (`zones_of`); training tiles are cut by grid or around
    superpixels and sampled, those of validation and test lie side by side, so that a
    pixel counts once. Windows are read one by one: memory does not grow with scenes.

    Args:
        scenes: Files of each scene.
        out: Folder to write: missing, empty, or made of the same files and options,
            which is replaced; it appears complete or not at all.
        options: How; None = the defaults.
        overwrite: Also replaces a data set of other files or options, or one whose
            recipe was changed.

    Returns:
        What was made.

    Raises:
        DataError: If a file cannot be read or does not fit, the scenes are too small
            to be split, or the folder holds what is read or something else.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.prepare import Inputs, Options, prepare
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 160, 16)
    >>> mask = np.zeros((1, 160, 16), np.uint8)
    >>> mask[:, ::4] = 1
    >>> image = np.repeat(100 + 50 * mask, 3, axis=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = Inputs(Path(folder, "valley.tif"), Path(folder, "classes.tif"))
    ...     colours = Layer("uint8", 0, ["red", "green", "blue"])
    ...     write_plain(files.image, grid, colours, [(0, image)])
    ...     write_plain(files.labels, grid, Layer("uint8", 255, ["class"]), [(0, mask)])
    ...     made = prepare([files], Path(folder, "set"), Options(tile=16))
    ...     recipe = made.recipe.read_text()
    >>> dict(made.counts), "name: landslide_scenes" in recipe
    ({'train': 5, 'validation': 1, 'test': 2}, True)
    """
    options, given = options or Options(), list(scenes)
    made_of = _made_of(given, options)
    check_outputs([out], [name for one in given for name in one.read])
    check_own_folder(
        out,
        "a prepared data set",
        _is_own,
        lambda folder: _is_of(folder, made_of),
        overwrite=overwrite,
    )
    found = find_inputs(given, options)
    with (
        atomic_folder(out, replace=True) as temporary,
        rasterio.Env(GDAL_CACHEMAX=_CACHE),
    ):
        plan = make_plan(found, options)
        first = next(iter(plan.scenes.values()))
        dtype = _dtype(plan.scenes.values())
        config = landslide_scenes.Config(
            name=PREPARED,
            description="Made by `landslide-tf prepare`.",
            bands=first.image,
            dtype=dtype,
            factors=first.factors,
            classes=options.labels.classes,
            size=options.tile,
            stride=options.tile,
            licence=options.licence,
            gsd=_common_cell(plan.scenes.values()),
            plan=plan,
            workers=options.workers,
        )
        if not sys.stderr.isatty():
            tfds.disable_progress_bar()
        builder = _Builder(data_dir=temporary, config=config)
        with contextlib.redirect_stdout(io.StringIO()):
            # TFDS prints the temporary folder.
            builder.download_and_prepare()
        shutil.rmtree(temporary / "downloads", ignore_errors=True)  # nothing is in it
        inside = Path(builder.data_path).relative_to(temporary)
        recipe = make_recipe(plan, config, options)
        text = yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True)
        (temporary / RECIPE).write_text(text, encoding="utf-8")
        known = {"made_of": made_of, "recipe": sha256(temporary / RECIPE)}
        (temporary / MADE_OF).write_text(json.dumps(known, indent=1) + "\n")
        _write_ground(plan, temporary)
        splits = builder.info.splits
        counts = {split: splits[split].num_examples for split in SPLITS}
        report = dict(builder.info.metadata["files"])
    folder = Path(out)
    return Prepared(
        folder,
        folder / inside,
        folder / RECIPE,
        counts,
        report,
        plan.landslide_name or LANDSLIDE,
        taken_of(found),
        advice(),
    )


def _made_of(scenes: Sequence[Inputs], options: Options) -> Any:  # noqa: ANN401 - JSON
    """Returns the files and options of a prepared data set as JSON values."""
    chosen = dataclasses.asdict(options)
    del chosen["workers"]  # changes no value
    content = {
        # Given by the same name from another folder, a file may be another one.
        "files": [[_full_name(name) for name in one.read] for one in scenes],
        "scenes": [dataclasses.asdict(one) for one in scenes],
        "options": chosen,
    }
    return json.loads(json.dumps(content, default=str))


def _full_name(name: str) -> str:
    """Returns a name that means the same from every folder."""
    return os.path.abspath(name) if os.path.exists(name) else name


def _is_own(entry: Path) -> bool:
    """Whether an entry is one that `prepare` writes, in a folder of a data set."""
    own = (RECIPE, GROUND, MADE_OF, _Builder.name)
    return entry.name in own and entry.with_name(_Builder.name).is_dir()


def _is_of(folder: Path, made_of: object) -> bool:
    """Whether a folder was made of the same, and its recipe is as it was written."""
    known = json.loads((folder / MADE_OF).read_text(encoding="utf-8"))
    return known == {"made_of": made_of, "recipe": sha256(folder / RECIPE)}


def _dtype(scenes: Iterable[Scene]) -> str:
    """Returns the type that holds the values of all images."""
    found = []
    for scene in scenes:
        with SceneReader(scene, factors=False) as reader:
            found.append(reader.dtype)
    dtype = np.result_type(*found)
    return str(dtype) if dtype in (np.uint8, np.uint16) else "float32"


def _common_cell(scenes: Iterable[Scene]) -> float | None:
    """Returns the cell size in metres, None where scenes differ by a hundredth."""
    cells = [mean_cell(scene.grid) for scene in scenes]
    return cells[0] if max(cells) <= 1.01 * min(cells) else None


def _write_ground(plan: Plan, folder: Path) -> None:
    """Writes `ground/<split>.geojson` with the ground that each split's tiles cover.

    A map of the same scenes can then be scored where its model was not trained. Scenes
    without longitude and latitude on Earth get a GeoPackage in their own system.
    """
    (folder / GROUND).mkdir()
    system = ground_system([scene.grid for scene in plan.scenes.values()])
    for split, tiles in plan.tiles.items():
        found = {
            name: _covered([t for t in tiles if t.scene == name], scene.grid, system)
            for name, scene in plan.scenes.items()
            if any(tile.scene == name for tile in tiles)
        }
        if system == LONLAT:
            _write_geojson(folder / GROUND / f"{split}.geojson", split, found)
            continue
        pyogrio.raw.write(
            folder / GROUND / f"{split}.gpkg",
            geometry=shapely.to_wkb(list(found.values())),
            field_data=[np.array(list(found), object)],
            fields=np.array(["scene"], object),
            geometry_type="MultiPolygon",
            crs=system.to_wkt("WKT1_GDAL"),
            driver="GPKG",
            layer=split,
        )


def _write_geojson(path: Path, split: str, ground: Mapping[str, Any]) -> None:
    features = [
        {
            "type": "Feature",
            "properties": {"scene": name, "split": split},
            "geometry": shapely.geometry.mapping(place),
        }
        for name, place in ground.items()
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    path.write_text(text, encoding="utf-8")


def _covered(tiles: Sequence[Tile], grid: Grid, system: pyproj.CRS) -> Any:  # noqa: ANN401
    """Returns the union of tiles in another system, as a multi-polygon."""
    places = {(tile.row, tile.column, tile.size) for tile in tiles}
    rows, columns, sizes = np.array(sorted(places)).T
    boxes = shapely.box(columns, rows, columns + sizes, rows + sizes)
    union = shapely.segmentize(shapely.union_all(boxes), _CELLS)
    placed = shapely.transform(
        union, lambda xy: np.stack(grid.transform @ (xy[:, 0], xy[:, 1]), axis=1)
    )
    moved = reprojected(np.array([placed], object), system_of(grid), system)
    if system == LONLAT:
        moved = cut_at_antimeridian(moved)
    return shapely.MultiPolygon(polygons_of(moved[0]))
