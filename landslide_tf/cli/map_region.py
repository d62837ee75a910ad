"""`landslide-tf map-region`: many scenes become maps, and one layer of landslides."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, TaskID

from landslide_tf.choices import Overlaps
from landslide_tf.cli import map as of_map
from landslide_tf.cli import options as shared
from landslide_tf.cli.model_files import Metadata, Models, RuntimeOption, load_member
from landslide_tf.words import counted

if TYPE_CHECKING:
    from landslide_tf.choices import Runtime
    from landslide_tf.mapping import Member
    from landslide_tf.region import Region, RegionJob, RegionScene
    from landslide_tf.region.region import Engine
    from landslide_tf.region.work import Outcome

CLUSTER = "Cluster"
Scenes = Annotated[
    Path,
    typer.Option(
        metavar="LIST",
        help="Scenes: a folder of images, a text file with one image per line, a CSV "
        "(image, dem, date, id) or a STAC ItemCollection (.json).",
    ),
]
Out = Annotated[Path, typer.Option(help="Folder to write all results into.")]
Probabilities = Annotated[
    bool,
    typer.Option(
        "--probabilities",
        help="Also write the probabilities of each scene, .tif.",
        rich_help_panel=shared.OUTPUT,
    ),
]
OverlapsOption = Annotated[
    Overlaps,
    typer.Option(
        help="What counts where scenes overlap: the scene of the latest date, or the "
        "higher probability.",
        rich_help_panel=shared.OUTPUT,
    ),
]
FailFast = Annotated[
    bool,
    typer.Option(
        "--fail-fast",
        help="Stop at the first scene that fails, instead of mapping the others.",
        rich_help_panel=shared.DETAILS,
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="HOST:PORT|auto|local",
        help="Map on a Ray cluster: its address, the one of this machine (auto), or "
        "processes of this machine alone (local).",
        show_default="one scene after the other in this process",
        rich_help_panel=CLUSTER,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Number of worker processes; more than fit wait for new nodes.",
        show_default="as many as fit",
        rich_help_panel=CLUSTER,
    ),
]
Cpus = Annotated[
    float,
    typer.Option(
        min=0.01,
        help="CPUs of each worker; also its TensorFlow threads.",
        rich_help_panel=CLUSTER,
    ),
]
Gpus = Annotated[
    float,
    typer.Option(
        min=0,
        help="GPUs of each worker; a fraction such as 0.5 shares one.",
        rich_help_panel=CLUSTER,
    ),
]
Unit = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Scenes of more pixels are split among the workers.",
        show_default="16777216",
        rich_help_panel=CLUSTER,
    ),
]


def map_region(
    model: Models,
    scenes: Scenes,
    out: Out,
    dem: shared.Dem = None,
    probabilities: Probabilities = False,
    overlaps: OverlapsOption = "latest",
    fail_fast: FailFast = False,
    ray: Ray = None,
    workers: Workers = None,
    cpus_per_worker: Cpus = 1.0,
    gpus_per_worker: Gpus = 0.0,
    unit_pixels: Unit = None,
    bands: shared.Bands = "",
    nodata: shared.Nodata = None,
    within: shared.Within = None,
    mask: shared.Masks = None,
    min_slope: shared.MinSlope = None,
    scale: of_map.Scale = None,
    threshold: of_map.Threshold = None,
    tta: shared.TTA = False,
    min_area: of_map.MinArea = None,
    simplify: of_map.Simplify = 0.0,
    window: of_map.Window = None,
    overlap: of_map.Overlap = None,
    batch: of_map.Batch = None,
    dem_unit: shared.DemUnit = None,
    dem_nodata: shared.DemNodata = None,
    strict: of_map.Strict = False,
    metadata: Metadata = None,
    runtime: RuntimeOption = None,
    region: of_map.Region = None,
    overwrite: shared.Overwrite = False,
) -> None:
    r"""Map many scenes, here or on a Ray cluster, and join their landslides.

    MODEL is a run folder, an export, a shipped name, a model file or a server's
    address; several models are averaged.

    The same command resumes it after an interruption. The exit status is 1 if a
    scene failed.

    Example: landslide-tf map-region runs/a --scenes scenes.csv --dem dem.tif \
        --out region
    """
    from landslide_tf import mapping
    from landslide_tf.ecoregions import region_name
    from landslide_tf.region import RegionJob, SceneFailed, check_region, read_scenes

    listed = read_scenes(scenes)
    dems = shared.dem_files(dem, dem_unit, dem_nodata)
    masks = shared.mask_files(within, mask)
    files = mapping.SceneFiles(
        (), dem=dems, bands=shared.band_choice(bands), nodata=nodata, masks=masks,
        min_slope=min_slope, scale=of_map.read_scale(scale),
    )  # fmt: skip
    options = mapping.MapOptions(
        window, overlap, batch, threshold, tta, min_area=min_area, simplify=simplify,
        strict=strict,
    )  # fmt: skip
    decoder = None if region is None else region_name(region)
    read = [scenes, *model, metadata, *files.read]
    check_region(out, listed, read)
    load = functools.partial(load_members, tuple(model), metadata, decoder, runtime)
    job = RegionJob(load, out, files, options, probabilities, overwrite)
    engine = None
    if ray is not None:
        from landslide_tf.region.cluster import Cluster

        engine = Cluster(
            job, ray, workers=workers, cpus=cpus_per_worker, gpus=gpus_per_worker,
            unit=unit_pixels,
        )  # fmt: skip
    try:
        made = _with_progress(job, listed, engine, overlaps, fail_fast)
    except SceneFailed as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    _print(made, len(listed))
    if made.failed:
        raise typer.Exit(1)


def load_members(
    names: tuple[str, ...],
    metadata: Path | None,
    region: str | None,
    runtime: Runtime | None,
) -> list[Member]:
    """Loads the models of a region, in whatever process."""
    return [load_member(name, metadata, region, runtime) for name in names]


class _Shown:
    """Shows on a terminal how far the region and its scenes are; else a line a scene.

    Args:
        bars: What shows it.
        scenes: Number of scenes.
    """

    def __init__(self, bars: Progress, scenes: int) -> None:
        self._bars, self._scenes = bars, scenes
        self._ended, self._pixels = 0, 0
        self._all = bars.add_task("Region", total=scenes, speed="")
        self._of: dict[str, tuple[TaskID, int, int]] = {}  # bar, pixels done and all

    def moved(self, scene: str, done: int, pixels: int) -> None:
        """See `Watch`."""
        if scene in self._of:
            bar, before, _ = self._of[scene]
        else:
            bar, before = self._bars.add_task(scene, speed=""), 0
        self._of[scene] = (bar, done, pixels)
        self._pixels += done - before
        self._bars.update(bar, total=pixels, completed=done)
        self._show()

    def ended(self, scene: str, outcome: Outcome) -> None:
        """See `Watch`."""
        self._ended += 1
        if scene in self._of:
            self._bars.remove_task(self._of.pop(scene)[0])
        self._show()
        for note in outcome.notes:
            self._say(f"warning: {scene}: {note}")
        state = "mapped before" if outcome.kept else "mapped"
        line = f"failed: {outcome.error}" if outcome.error else state
        self._say(f"{self._ended}/{self._scenes} {scene}: {line}")

    def _say(self, line: str) -> None:
        self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _show(self) -> None:
        """Shows how far the region is, with the parts of scenes that are done."""
        running = sum(done / max(1, pixels) for _, done, pixels in self._of.values())
        elapsed = self._bars.tasks[0].elapsed or 0.0
        self._bars.update(
            self._all,
            completed=self._ended + running,
            speed=f"{self._pixels / max(1e-3, elapsed) / 1e6:.2f} Mpx/s",
        )


def _with_progress(
    job: RegionJob,
    scenes: list[RegionScene],
    engine: Engine | None,
    overlaps: Overlaps,
    fail_fast: bool,
) -> Region:
    from landslide_tf.region import map_region

    with of_map.progress_bars("stopped: the same command goes on") as bars:
        return map_region(
            job, scenes, engine=engine, overlaps=overlaps, fail_fast=fail_fast,
            watch=_Shown(bars, len(scenes)),
        )  # fmt: skip


def _print(made: Region, scenes: int) -> None:
    """Prints what was mapped, the table of what failed, and where the results are."""
    kept = f", {made.kept} of them before" if made.kept else ""
    found = made.joined
    landslides = ""
    if found is not None:
        landslides = (
            f"; {counted(found.landslides, 'landslide')} on "
            f"{found.area / 1e6:.3f} km², {found.crossing} in several scenes"
        )
    typer.echo(
        f"{len(made.mapped)} of {counted(scenes, 'scene')} mapped{kept}, "
        f"{counted(made.pixels, 'pixel')} now{landslides}"
    )
    if made.failed:
        width = max(map(len, ("scene", *made.failed)))
        typer.echo(f"{'scene'.ljust(width)}  why it failed", err=True)
        for name, line in made.failed.items():
            typer.echo(f"{name.ljust(width)}  {line}", err=True)
    typer.echo(made.out / "index.html")
