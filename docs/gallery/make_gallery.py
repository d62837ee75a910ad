"""Makes the pictures of docs/gallery.md: `python docs/gallery/make_gallery.py`.

Every picture shows a generated scene, so that no licence of others applies. Commands
are run as the page prints them, in a temporary folder; pages are photographed with
Chromium, whose path the environment's `CHROMIUM` may give.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyogrio
import rasterio
import shapely
from matplotlib.colors import ListedColormap
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from PIL import Image
from rasterio import Affine
from scipy import ndimage

from landslide_tf.datasets.synthetic_landslides.generate import (
    FOREST,
    LANDSLIDE,
    WATER,
    paint,
    palette,
    vegetation,
)
from landslide_tf.datasets.synthetic_landslides.ground import (
    add_buildings,
    add_lake,
    add_roads,
    add_soil,
    hillside,
)
from landslide_tf.terrain import slope

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "gallery.md"
SEED, REGION, SIZE, CELL = 3, 1, 512, 2.0
COARSE = 4  # cells in one of the generated ground, whose ridges are for small tiles
BEFORE_KEEPS = 3  # each third landslide is old
WIDTH = 1000  # pixels of a picture
EDGE = [withStroke(linewidth=2, foreground="black")]


def main() -> None:
    """Writes the scenes, runs the page's commands, and keeps their pictures."""
    commands = re.findall(r"```bash\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    lines = "".join(commands).splitlines()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scenes(folder)
        for line in lines:
            print(line, flush=True)
            words = [sys.executable, "-m", "landslide_tf.cli.main"]
            words += shlex.split(line)[1:]
            subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        draw_scene(folder)
        keep(folder / "evaluation" / "pictures.png", "predictions")
        for page, picture, height in PAGES:
            photograph(folder / page, picture, height)
    total = sum(path.stat().st_size for path in HERE.glob("*.webp"))
    print(f"{total / 1000:.0f} kB in all")


# Page that a command writes, name of its picture, height of the window in pixels.
PAGES = (
    ("map.html", "map_page", 800),
    ("changes.html", "changes", 800),
    ("recognised/report.html", "recognition", 1500),
    ("statistics.html", "inventory", 1500),
)


def write_scenes(folder: Path) -> None:
    """Writes a scene of two dates, its elevations and its vegetation index."""
    random = np.random.default_rng(SEED)
    ground = hillside(random, SIZE // COARSE, CELL * COARSE)
    dem, lake = add_lake(random, ndimage.zoom(ground, COARSE, order=3))
    mask = np.full(dem.shape, FOREST, np.uint8)
    mask[lake] = WATER
    steepness = slope(dem, CELL, edges="compute")
    for _ in range((SIZE // 128) ** 2):  # as dense as in a tile of the data set
        add_soil(random, mask, steepness)
    for _ in range(2):
        add_roads(random, mask)
        add_buildings(random, mask)
    image = paint(random, mask, palette(REGION, False), 1.0)
    ndvi = vegetation(random, mask)
    labels, count = ndimage.label(mask == LANDSLIDE)
    new = (labels > 0) & (labels % BEFORE_KEEPS > 0)
    print(f"{count} landslides, {len(np.unique(labels[new]))} of them new")
    write(folder / "dem.tif", dem[None].astype(np.float32))
    write(folder / "image_2024.tif", np.moveaxis(image, -1, 0))
    write(folder / "ndvi_2024.tif", ndvi[None])
    before = overgrown(image, mask, new)
    write(folder / "image_2019.tif", np.moveaxis(before, -1, 0))
    write(folder / "ndvi_2019.tif", overgrown(ndvi[..., None], mask, new)[..., 0][None])


def overgrown(values: NDArray, mask: NDArray, where: NDArray) -> NDArray:
    """Returns values (H, W, channels) with forest of elsewhere in some pixels."""
    found = values.copy()
    forest = values[mask == FOREST]
    wider = ndimage.binary_dilation(where, iterations=2)
    wider &= (mask == FOREST) | where
    random = np.random.default_rng(SEED)
    found[wider] = forest[random.integers(0, len(forest), int(wider.sum()))]
    return found


def write(path: Path, values: NDArray) -> None:
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
        transform=Affine(CELL, 0, 400_000, 0, -CELL, 3_400_000),
    ) as dataset:
        dataset.write(values)


def draw_scene(folder: Path) -> None:
    """Draws the scene: image, slope, and what is mapped."""
    with rasterio.open(folder / "image_2024.tif") as dataset:
        image = np.moveaxis(dataset.read(), 0, -1)
        left, bottom, right, top = dataset.bounds
    with rasterio.open(folder / "dem.tif") as dataset:
        dem = dataset.read(1)
    with rasterio.open(folder / "map.tif") as dataset:
        classes, colours = dataset.read(1), dataset.colormap(1)
    legend = ListedColormap([np.array(colours[k][:3]) / 255 for k in range(6)])
    extent = (0, right - left, 0, top - bottom)
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.35), layout="constrained")
    titles = ("image", "slope, 0 to 45 degrees", "mapped classes", "landslides")
    for axis, title in zip(axes, titles, strict=True):
        axis.set_title(title, fontsize=10)
        axis.set_xticks([])
        axis.set_yticks([])
    axes[0].imshow(image, extent=extent)
    axes[1].imshow(slope(dem, CELL), cmap="YlOrBr", vmin=0, vmax=45, extent=extent)
    axes[2].imshow(
        classes, cmap=legend, vmin=-0.5, vmax=5.5, extent=extent, interpolation="none"
    )
    axes[3].imshow(image, extent=extent)
    _, _, shapes, _ = pyogrio.raw.read(folder / "landslides.gpkg")
    for shape in shapely.get_parts(shapely.from_wkb(shapes)):
        x, y = np.array(shape.exterior.coords).T
        axes[3].fill(x - left, y - bottom, fc="#ff2d2d55", ec="#ff2d2d", lw=1)
    for axis in axes:
        bar = 200  # metres
        x, y = extent[1] - bar - 60, 60
        axis.plot([x, x + bar], [y, y], color="white", lw=3, path_effects=EDGE)
        axis.text(
            x + bar / 2,
            y + 30,
            f"{bar} m",
            color="white",
            ha="center",
            size=8,
            path_effects=EDGE,
        )
    path = folder / "scene.png"
    figure.savefig(path, dpi=120)
    keep(path, "scene", width=1440)


def keep(path: Path, name: str, *, width: int = WIDTH) -> None:
    """Writes a picture as WebP of at most 100 kB beside this script."""
    image = Image.open(path).convert("RGB")
    if image.width > width:
        height = round(image.height * width / image.width)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    target = HERE / f"{name}.webp"
    for quality in (85, 75, 65, 50, 35):
        image.save(target, quality=quality, method=6)
        if target.stat().st_size <= 100_000:
            return
    raise SystemExit(f"`{target.name}` must be at most 100 kB.")


def photograph(page: Path, name: str, height: int) -> None:
    """Keeps what a page of 1400 pixels' width shows first."""
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if browser is None:
        raise SystemExit("Chromium is needed for the pictures of pages.")
    target = page.with_suffix(".png")
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu"]
    options += [f"--window-size=1400,{height}", "--virtual-time-budget=5000"]
    subprocess.run(
        [browser, *options, f"--screenshot={target}", page.resolve().as_uri()],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    keep(target, name)


if __name__ == "__main__":
    main()
