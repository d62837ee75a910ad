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
from scipy import ndimage

from landslide_tf.datasets.synthetic_landslides.generate import (
    FOREST,
    LANDSLIDE,
    WATER,
    generate_tile,
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
from landslide_tf.demo import write_raster
from landslide_tf.terrain import slope

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "gallery.md"
SEED, REGION, SIZE, CELL = 3, 1, 512, 2.0
COARSE = 4  # cells in one of the generated ground, whose ridges are for small tiles
BEFORE_KEEPS = 3  # each third landslide is old
TILES, SHOWN = 48, 40  # tiles of pictures; least pixels of a landslide in one
WIDTH, LARGEST = 1000, 80_000  # pixels and bytes of a picture
EDGE = [withStroke(linewidth=2, foreground="black")]


def main() -> None:
    """Writes the scenes, runs the page's commands, and keeps their pictures."""
    commands = re.findall(r"```bash\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    lines = "".join(commands).splitlines()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scenes(folder)
        write_pictures(folder / "pictures")
        for line in lines:
            print(line, flush=True)
            words = [sys.executable, "-m", "landslide_tf.cli.main"]
            words += shlex.split(line)[1:]
            subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        draw_scene(folder)
        for path, picture in DRAWN:
            keep(folder / path, picture)
        for page, hidden, picture, height in PAGES:
            photograph(folder / page, hidden, picture, height)
    total = sum(path.stat().st_size for path in HERE.glob("*.webp"))
    print(f"{total / 1000:.0f} kB in all")


# Picture that a command draws, and what it is called here.
DRAWN = (
    ("evaluation/pictures.png", "predictions"),
    ("matrix/matrix.png", "continual"),
    ("branches/report/pictures.png", "fusion"),
)
# What is hidden where one part of a page is shown.
OTHERS = "nav, section:not([aria-labelledby=part-2])"
# Page that a command writes, what of it is hidden, name of its picture, height of the
# window in pixels.
PAGES = (
    ("map.html", "", "map_page", 800),
    ("changes.html", "", "changes", 800),
    ("recognised/report.html", "", "recognition", 900),
    ("statistics.html", "", "inventory", 1500),
    ("run/report.html", "", "run", 1400),
    ("run/report.html", f"{OTHERS}, figure", "evaluation", 1320),
    ("branches/report/index.html", f"{OTHERS}, p, .scroll", "reliability", 1640),
    ("valley/index.html", "", "region", 1350),
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
    write_raster(folder / "dem.tif", dem[None].astype(np.float32), CELL)
    write_raster(folder / "image_2024.tif", np.moveaxis(image, -1, 0), CELL)
    write_raster(folder / "ndvi_2024.tif", ndvi[None], CELL)
    before = overgrown(image, mask, new)
    write_raster(folder / "image_2019.tif", np.moveaxis(before, -1, 0), CELL)
    index = overgrown(ndvi[..., None], mask, new)
    write_raster(folder / "ndvi_2019.tif", np.moveaxis(index, -1, 0), CELL)
    write_region(folder, image, dem, ndvi)


def overgrown(values: NDArray, mask: NDArray, where: NDArray) -> NDArray:
    """Returns values (H, W, channels) with forest of elsewhere in some pixels."""
    found = values.copy()
    forest = values[mask == FOREST]
    wider = ndimage.binary_dilation(where, iterations=2)
    wider &= (mask == FOREST) | where
    random = np.random.default_rng(SEED)
    found[wider] = forest[random.integers(0, len(forest), int(wider.sum()))]
    return found


def write_region(folder: Path, image: NDArray, dem: NDArray, ndvi: NDArray) -> None:
    """Writes four scenes that overlap, with near infrared, and the list of them."""
    red = image[..., 0].astype(np.float32)
    nir = np.clip(red * (1 + ndvi) / np.maximum(1 - ndvi, 0.1), 1, 255)
    bands = np.stack([*np.moveaxis(image, -1, 0), nir.astype(np.uint8)])
    half, more = SIZE // 2, SIZE // 16
    (folder / "scenes").mkdir()
    lines = ["image,date"]
    for number, corner in enumerate(np.ndindex(2, 2)):
        top, left = (max(0, half * k - more) for k in corner)
        rows, columns = (slice(s, s + half + more) for s in (top, left))
        name = f"scenes/scene_{number + 1}.tif"
        write_raster(
            folder / name,
            bands[:, rows, columns],
            CELL,
            corner=(top, left),
            names=("red", "green", "blue", "nir"),
        )
        lines.append(f"{name},2024-05-{28 + number}")
    (folder / "scenes.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_pictures(folder: Path) -> None:
    """Writes pictures of a landslide, and of none, as the folders of a classifier.

    Bijie's landslides are split by the letters of a name: `js` is validation, `hz` is
    test. The others are split by their order.
    """
    found: dict[bool, list[NDArray]] = {True: [], False: []}
    for index in range(TILES):
        tile = generate_tile(SEED, REGION, "train", index, visible=True)
        for rows, columns in np.ndindex(2, 2):
            part = np.s_[64 * rows : 64 * rows + 64, 64 * columns : 64 * columns + 64]
            pixels = int(tile["mask"][part].sum())
            if pixels == 0 or pixels >= SHOWN:
                found[pixels > 0].append(tile["image"][part])
    for landslide, pictures in found.items():
        kind = folder / ("landslide" if landslide else "non-landslide")
        kind.mkdir(parents=True)
        for number, picture in enumerate(pictures):
            split = 10 * number // len(pictures)
            letters = "js" if split in (6, 7) else "hz" if split > 7 else "df"
            letters = letters if landslide else "none"
            Image.fromarray(picture).save(kind / f"{letters}{number:03}.png")
        print(f"{len(pictures)} pictures of {kind.name}")


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
    """Writes a picture as WebP of at most 80 kB beside this script."""
    image = Image.open(path).convert("RGB")
    if image.width > width:
        height = round(image.height * width / image.width)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    target = HERE / f"{name}.webp"
    for quality in (85, 75, 65, 50, 35):
        image.save(target, quality=quality, method=6)
        if target.stat().st_size <= LARGEST:
            return
    raise SystemExit(f"`{target.name}` must be at most 80 kB.")


def photograph(page: Path, hidden: str, name: str, height: int) -> None:
    """Keeps what a page of 1400 pixels' width shows first, without what is hidden."""
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if browser is None:
        raise SystemExit("Chromium is needed for the pictures of pages.")
    shown = page
    if hidden:
        shown = page.with_name(f"{name}.html")
        style = f"{hidden} {{ display: none }}"
        text = page.read_text("utf-8")
        shown.write_text(text.replace("</style>", style + "</style>"), "utf-8")
    target = shown.with_suffix(".png")
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu"]
    options += [f"--window-size=1400,{height}", "--virtual-time-budget=5000"]
    subprocess.run(
        [browser, *options, f"--screenshot={target}", shown.resolve().as_uri()],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    keep(target, name)


if __name__ == "__main__":
    main()
