"""The demonstration: from generated data to an exported model and a page."""

from __future__ import annotations

import csv
import shlex
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio import Affine
from rich.console import Console

from landslide_tf.datasets.synthetic_landslides.generate import generate_tile
from landslide_tf.errors import DataError
from landslide_tf.mapping import MapOptions, Member, Outputs, SceneFiles, map_scene
from landslide_tf.metrics import Scores
from landslide_tf.models.prediction import prediction_function
from landslide_tf.report import (
    Code,
    Figure,
    KeyNumbers,
    Link,
    MapDate,
    Picture,
    Section,
    Table,
    average_rows,
    class_rows,
    confusion_rows,
    curves,
    object_rows,
    write_evaluation,
    write_map_page,
    write_page,
)
from landslide_tf.serving import export
from landslide_tf.train import (
    Evaluation,
    RunFolder,
    Session,
    evaluate_run,
    load_recipe,
    train,
)

RECIPES = ("fstf_net_synthetic", "rae_d_synthetic")
NAMES = {"fstf_net_synthetic": "FSTF-Net", "rae_d_synthetic": "RAE-D"}
CURVES = ("loss", "landslide_iou", "miou")
SCENE = {"image": "image.tif", "dem": "dem.tif", "ndvi": "ndvi.tif"}
_SCENE_SEED, _SCENE_SIZE, _CELL = 20, 256, 2.0  # another seed: ground not trained on


@dataclass(frozen=True)
class _Result:
    name: str
    run: RunFolder
    evaluation: Evaluation
    files: dict[str, Path]


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
        out: Folder of everything; missing or empty.

    Returns:
        The page, `index.html`.

    Raises:
        DataError: If the folder is in use.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"`{out}` exists and is not an empty folder: choose another.")
    console = Console(stderr=True)
    started = time.perf_counter()

    def step(text: str) -> None:
        console.print(f"[bold]{time.perf_counter() - started:5.0f} s[/bold]  {text}")

    data_dir = out / "data"
    results = []
    for name in RECIPES:
        step(f"training {NAMES[name]} (recipe {name})")
        run = train(
            load_recipe(name),
            out / "runs" / name,
            Session(data_dir, command=f"landslide-tf train {name}"),
        )
        step(f"evaluating {NAMES[name]}")
        results.append(_evaluate(name, run, data_dir))
    step("evaluating FSTF-Net with the factors of other tiles")
    shuffled = evaluate_run(
        results[0].run, permute="factors", pictures=0, data_dir=data_dir
    )
    winner = max(results, key=lambda result: result.evaluation.landslide_iou)
    step(f"exporting {NAMES[winner.name]}")
    exported = export(
        winner.run.load_model(),
        out / "export" / winner.name,
        metadata=winner.run.read_metadata(),
    )
    step("mapping a generated scene")
    scene = _map_scene(out / "map", winner)
    page = _write_page(out, results, shuffled, winner, exported, scene)
    step("done")
    return page


def _evaluate(name: str, run: RunFolder, data_dir: Path) -> _Result:
    evaluation = evaluate_run(run, data_dir=data_dir)
    files = write_evaluation(
        run.report / "test",
        title=f"{NAMES[name]} on {evaluation.data}",
        scores=evaluation.scores.as_dict(),
        objects=evaluation.object_table(),
        classes=evaluation.metadata.classes,
        landslide_class=evaluation.metadata.landslide_class,
        pictures=[Picture(**picture) for picture in evaluation.pictures],
        facts=evaluation.facts,
    )
    with run.metrics.open() as stream:
        rows = list(csv.DictReader(stream))
    chosen = [
        {k: row[k] for k in ("epoch", *CURVES, *(f"val_{c}" for c in CURVES))}
        for row in rows
    ]
    files["curves"] = curves(chosen, run.report / "curves.png")
    return _Result(name, run, evaluation, files)


def _map_scene(folder: Path, winner: _Result) -> Path:
    """Maps a larger generated scene as a user maps their own; returns its page."""
    tile = generate_tile(_SCENE_SEED, 0, "test", 0, size=_SCENE_SIZE, cell=_CELL)
    folder.mkdir()
    image, dem, ndvi = (folder / name for name in SCENE.values())
    _write_raster(image, np.moveaxis(tile["image"], -1, 0))
    _write_raster(dem, tile["dem"][None])
    _write_raster(ndvi, tile["ndvi"][None])
    metadata = winner.run.read_metadata()
    outputs = Outputs(
        folder / "map.tif",
        probabilities=folder / "probabilities.tif",
        vectors=(folder / "landslides.geojson",),
    )
    made = map_scene(
        [Member(prediction_function(winner.run.load_model()), metadata)],
        SceneFiles((str(image),), dem=str(dem), factors={"ndvi": str(ndvi)}),
        outputs,
        MapOptions(tile=_SCENE_SIZE // 2, overlap=_SCENE_SIZE // 8),
    )
    date = MapDate(
        name=image.name,
        map=outputs.map,
        image=[(str(image), band) for band in (1, 2, 3)],
        probabilities=outputs.probabilities,
    )
    return write_map_page(
        folder / "map.html",
        "Landslides in a generated scene",
        [date],
        dem=dem,
        polygons=outputs.vectors[0],
        facts={
            "Model": NAMES[winner.name],
            "Landslide": f"{made.landslide / max(1, made.valid):.2%}",
            "Polygons": made.objects,
        },
    )


def _write_raster(path: Path, values: NDArray) -> None:
    """Writes (bands, H, W) on a north-up grid in metres."""
    bands, height, width = values.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=bands,
        height=height,
        width=width,
        dtype=values.dtype,
        crs="EPSG:32648",
        transform=Affine(_CELL, 0, 400_000, 0, -_CELL, 3_400_000),
    ) as dataset:
        dataset.write(values)


def _write_page(
    out: Path,
    results: list[_Result],
    shuffled: Evaluation,
    winner: _Result,
    exported: Path,
    scene: Path,
) -> Path:
    named = [(NAMES[r.name], r.evaluation) for r in results]
    named.append(("FSTF-Net, factors of other tiles", shuffled))
    compared = [
        [
            name,
            found.landslide_iou,
            found.scores.miou,
            found.scores.oa,
            separation(found.scores, "landslide", "bare"),
        ]
        for name, found in named
    ]
    header = ["model", "landslide IoU", "mean IoU", "overall accuracy", "separation"]
    table = Table(
        caption="Test tiles. Separation: share correct among the pixels of landslide "
        "and bare ground that are predicted as one of the two; a coin gives 0.5.",
        header=header,
        rows=compared,
        strong=results.index(winner),
    )
    numbers = KeyNumbers(
        numbers=[(row[0], row[1], "landslide IoU") for row in compared],
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
                table,
            ],
        ),
        *(_model_section(result) for result in results),
        Section(
            "The exported model",
            [
                f"{NAMES[winner.name]} as a SavedModel that TensorFlow Serving loads:",
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
    files = {name: folder / file for name, file in SCENE.items()}
    words = [
        "landslide-tf",
        "map",
        str(winner.run.path),
        *("--image", str(files["image"]), "--dem", str(files["dem"])),
        *("--factor", f"ndvi={files['ndvi']}", "--out", str(folder / "map2.tif")),
        *("--report", str(folder / "map2.html")),
    ]
    return shlex.join(words)


def _model_section(result: _Result) -> Section:
    name, scores = NAMES[result.name], result.evaluation.scores.as_dict()
    tables = (
        ("Classes", class_rows(scores)),
        ("Averages over classes", average_rows(scores)),
        ("Landslide objects", object_rows(result.evaluation.object_table())),
        ("Confusion matrix in pixels, rows are truth", confusion_rows(scores)),
    )
    return Section(
        name,
        [
            Figure(
                path=result.files["pictures"],
                alt=f"Image, slope, truth, prediction of {name} and outlines of both",
                caption="Outlines over the image: truth and prediction.",
            ),
            Figure(
                path=result.files["curves"],
                alt=f"Loss, landslide IoU and mean IoU of {name} over the epochs",
            ),
            *(
                Table(caption=caption, header=header, rows=rows)
                for caption, (header, rows) in tables
            ),
        ],
    )
