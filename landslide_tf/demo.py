"""The demonstration: from generated data to an exported model and a page."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio import Affine
from rich.console import Console

from landslide_tf.datasets.synthetic_landslides.generate import generate_tile
from landslide_tf.mapping import MapOptions, Member, Outputs, SceneFiles, map_scene
from landslide_tf.metrics import Scores
from landslide_tf.models.prediction import prediction_function
from landslide_tf.outputs import check_own_folder
from landslide_tf.raster.dem import DemFiles
from landslide_tf.report import (
    Charts,
    Code,
    KeyNumbers,
    Link,
    MapDate,
    Section,
    Table,
    evaluation_section,
    learning_curves,
    write_evaluation,
    write_map_page,
    write_page,
)
from landslide_tf.report.tables import Row
from landslide_tf.serving import export
from landslide_tf.train import (
    Evaluation,
    RunFolder,
    Session,
    evaluate_run,
    load_recipe,
    run_facts,
)
from landslide_tf.train.engine import train_or_resume

NAMES = {"fstf_net_synthetic": "FSTF-Net", "rae_d_synthetic": "RAE-D"}
CURVES = ("loss", "landslide_iou", "miou")
SCENE = {"image": "image.tif", "dem": "dem.tif", "ndvi": "ndvi.tif"}
_OWN = {"data", "runs", "export", "map", "index.html"}
_HEADER = ["model", "landslide IoU", "mean IoU", "overall accuracy", "separation"]
_SCENE_SEED, _SCENE_SIZE, _CELL = 20, 256, 2.0  # another seed: ground not trained on


@dataclass(frozen=True)
class _Result:
    """A trained model: its recipe, its run and what the test tiles say of it."""

    recipe: str
    run: RunFolder
    evaluation: Evaluation

    @property
    def name(self) -> str:
        """The model's name for readers."""
        return NAMES[self.recipe]


def separation(scores: Scores, first: str, second: str) -> float:
    """Returns how well a model tells two classes apart.

    Args:
        scores: Scores of an evaluation.
        first: Name of one class.
        second: Name of the other.

    Returns:
        The share of correct pixels among those of the two classes that are predicted
        as one of the two; 0.5 is a coin's.
    """
    pair = [scores.class_names.index(name) for name in (first, second)]
    between = scores.matrix[pair][:, pair]
    return float(between.trace() / between.sum())


def run_demo(out: str | Path) -> Path:
    """Runs the demonstration.

    Tiles are generated on which bare ground and landslides look alike and only the
    slope tells them apart. FSTF-Net, which sees terrain factors, and RAE-D, which is
    the same network without them, are trained alike and evaluated; the better one is
    exported, and maps a georeferenced scene.

    Args:
        out: Folder of everything; missing, empty, or of an earlier demonstration, which
            is resumed.

    Returns:
        The page, `index.html`.

    Raises:
        DataError: If the folder holds something else.
    """
    out = Path(out)
    check_own_folder(out, "the demonstration", lambda path: path.name in _OWN)
    console = Console(stderr=True)
    started = time.perf_counter()

    def step(text: str) -> None:
        console.print(f"[bold]{time.perf_counter() - started:5.0f} s[/bold]  {text}")

    session = Session(out / "data")
    results = []
    for recipe, name in NAMES.items():
        step(f"training {name} (recipe {recipe})")
        named = replace(session, command=f"landslide-tf train {recipe}")
        run = train_or_resume(load_recipe(recipe), out / "runs" / recipe, named)
        step(f"evaluating {name}")
        found = evaluate_run(run, session=session)
        title = f"{name} on {found.data}"
        write_evaluation(run.report / "test", title=title, **found.contents())
        results.append(_Result(recipe, run, found))
    step("evaluating FSTF-Net with the factors of other tiles")
    shuffled = evaluate_run(
        results[0].run, permute="factors", pictures=0, session=session
    )
    winner = max(results, key=lambda result: result.evaluation.landslide_iou)
    step(f"exporting {winner.name}")
    exported = out / "export" / winner.recipe / "1"
    if not exported.is_dir():
        model, metadata = winner.run.load_model(), winner.run.read_metadata()
        export(model, exported.parent, metadata=metadata, version=1)
    step("mapping a generated scene")
    scene = _map_scene(out / "map", winner)
    page = _write_page(out, results, shuffled, winner, exported, scene)
    step("done")
    return page


def _map_scene(folder: Path, winner: _Result) -> Path:
    """Maps a larger generated scene as a user maps their own; returns its page."""
    tile = generate_tile(_SCENE_SEED, 0, "test", 0, size=_SCENE_SIZE, cell=_CELL)
    folder.mkdir(exist_ok=True)
    image, dem, ndvi = (folder / name for name in SCENE.values())
    write_raster(image, np.moveaxis(tile["image"], -1, 0), _CELL)
    write_raster(dem, tile["dem"][None], _CELL)
    write_raster(ndvi, tile["ndvi"][None], _CELL)
    metadata = winner.run.read_metadata()
    outputs = Outputs(
        folder / "map.tif",
        probabilities=folder / "probabilities.tif",
        vector=(folder / "landslides.geojson",),
    )
    made = map_scene(
        [Member(prediction_function(winner.run.load_model()), metadata)],
        SceneFiles((str(image),), dem=DemFiles(dem), factor={"ndvi": str(ndvi)}),
        outputs,
        MapOptions(window=_SCENE_SIZE // 2, overlap=_SCENE_SIZE // 8),
    )
    date = MapDate(
        name=image.name,
        map=outputs.out,
        image=[(str(image), band) for band in (1, 2, 3)],
        probabilities=outputs.probabilities,
    )
    return write_map_page(
        folder / "map.html",
        "Landslides in a generated scene",
        [date],
        dem=DemFiles(dem),
        polygons=outputs.vector[0],
        facts={
            "Model": winner.name,
            "Landslide": f"{made.landslide / max(1, made.valid):.2%}",
            "Polygons": made.objects,
        },
    )


def write_raster(
    path: Path,
    values: NDArray,
    cell: float,
    *,
    corner: tuple[int, int] = (0, 0),
    names: Sequence[str] = (),
) -> None:
    """Writes a raster of a generated scene on a north-up grid.

    Args:
        path: The GeoTIFF.
        values: Its values (bands, rows, columns).
        cell: Side of a cell, metres.
        corner: Row and column of its corner in the grid of all rasters of this size.
        names: Names of its bands; may be left out.
    """
    bands, height, width = values.shape
    row, column = corner
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=bands,
        height=height,
        width=width,
        dtype=values.dtype,
        crs="EPSG:32648",
        transform=Affine(
            cell, 0, 400_000 + column * cell, 0, -cell, 3_400_000 - row * cell
        ),
    ) as dataset:
        dataset.write(values)
        if names:
            dataset.descriptions = names


def _write_page(
    out: Path,
    results: list[_Result],
    shuffled: Evaluation,
    winner: _Result,
    exported: Path,
    scene: Path,
) -> Path:
    named = [(result.name, result.evaluation) for result in results]
    named.append(("FSTF-Net, factors of other tiles", shuffled))
    compared: list[Row] = [
        [
            name,
            found.landslide_iou,
            found.scores.miou,
            found.scores.oa,
            separation(found.scores, "landslide", "bare"),
        ]
        for name, found in named
    ]
    table = Table(
        caption="Test tiles. Separation: share correct among the pixels of landslide "
        "and bare ground that are predicted as one of the two; a coin gives 0.5.",
        header=_HEADER,
        rows=compared,
        strong=results.index(winner),
    )
    numbers = KeyNumbers(
        numbers=[(name, found.landslide_iou, "landslide IoU") for name, found in named]
    )
    sections = [
        Section(
            "",
            [
                "Landslides and bare ground are drawn in the same colours on these "
                "generated tiles: what is steep is landslide, what is flat is not. "
                "FSTF-Net sees slope, aspect and NDVI beside the image, RAE-D is the "
                "same network without them; both are trained alike.",
                numbers,
                Link("Look at the map of a generated scene", scene),
                table,
            ],
        ),
        *(_model_section(result) for result in results),
        Section(
            "The exported model",
            [
                f"{winner.name} as a SavedModel that TensorFlow Serving loads:",
                Code(
                    f"saved_model_cli show --dir {exported} --tag_set serve "
                    "--signature_def serving_default"
                ),
            ],
        ),
        Section(
            "A scene as a map",
            [
                "The model maps a generated scene of another place, a GeoTIFF with its "
                "DEM. This command does the same:",
                Code(_map_command(winner, scene.parent)),
                Link("Look at the map: layers, polygons and their table", scene),
            ],
        ),
    ]
    return write_page(
        out / "index.html", "FSTF-Net and RAE-D on generated tiles", sections
    )


def _map_command(winner: _Result, folder: Path) -> str:
    image, dem, ndvi = (folder / file for file in SCENE.values())
    words = ["landslide-tf", "map", winner.run.path, "--image", image, "--dem", dem]
    words += ["--factor", f"ndvi={ndvi}", "--out", folder / "map2.tif"]
    words += ["--report", folder / "map2.html"]
    return shlex.join(map(str, words))


def _model_section(result: _Result) -> Section:
    """Arranges the picture, the curves and the scores of a model."""
    picture, *scores = evaluation_section(result.run.report / "test").blocks
    curves = Charts(learning_curves(run_facts(result.run)["epochs"], CURVES))
    return Section(result.name, [picture, curves, *scores])
