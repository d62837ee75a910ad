"""Writes small CAS archives and folders with the faults of the real ones."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import tifffile

# Components of a sub set: cells (row, column) of tiles cut with half a tile's step.
COMPONENTS = {
    "moxi_uav02": [[(0, 0), (0, 1)], [(0, 0)], [(0, 0), (1, 1)], [(0, 0)]],
    "longxi_uav": [[(0, 0), (1, 0)], [(0, 0)], [(0, 0)]],
    "jiuzhai_uav02": [[(0, 0), (0, 1), (1, 0), (1, 1)], [(0, 0)], [(0, 0)]],
    "wenchuan": [[(0, 0)]],
}
STEMS = {
    "moxi_uav02": "moxizheng_0.2m_UAV{:04}",
    "longxi_uav": "longxihe_UAV{:04}",
    "jiuzhai_uav02": "jiuzzhaigou_0.2m_UVA{:04}",
    "wenchuan": "wenchuan{:03}",
}
# Copies differ in the width of parentheses, in case and in spaces.
PLACES = {
    "moxi_uav02": "Moxi town\N{FULLWIDTH LEFT PARENTHESIS}UAV-0.2m"
    "\N{FULLWIDTH RIGHT PARENTHESIS}.zip",
    "longxi_uav": "longxi river(uav)",
    "jiuzhai_uav02": "Jiuzhai_valley_(UAV-0.2m).ZIP",
    "wenchuan": "Wenchuan.zip",
}


def ground(seed, cells=3):
    """A picture of coloured patches, (cells + 1) * 256 pixels a side."""
    rng = np.random.default_rng(seed)
    side = (cells + 1) * 8
    patches = rng.integers(1, 256, (side, side, 3), dtype=np.uint8)
    return patches.repeat(32, axis=0).repeat(32, axis=1)


def tiles(slug):
    """Yields stem, image and mask of each tile; numbers have gaps."""
    number = 1
    for k, cells in enumerate(COMPONENTS[slug]):
        picture = ground(sum(slug.encode()) * 100 + k)
        for row, column in cells:
            image = picture[256 * row :, 256 * column :][:512, :512].copy()
            mask = (image[..., 0] > 200).astype(np.uint8)
            yield STEMS[slug].format(number), image, mask
            number += 3


def write_subset(root, slug, place=None):
    """Writes a sub set as a folder, or as the archive that `place` names."""
    place = Path(root) / (place or PLACES[slug])
    folder = place.with_suffix("") if place.suffix.lower() == ".zip" else place
    if place != folder:
        folder = place.parent / f".{slug}"  # packed below
    for kind in ("img", "mask", "label"):
        (folder / kind).mkdir(parents=True)
    for k, (stem, image, mask) in enumerate(tiles(slug)):
        if slug == "longxi_uav":
            mask *= 255
        suffix = ".tiff" if k % 2 else ".tif"
        tifffile.imwrite(folder / "img" / f"{stem}{suffix}", image)
        renamed = stem.replace("UVA", "UAV") if k == 0 else stem.lower()
        suffix = ".TIF" if slug == "wenchuan" else ".tif"
        tifffile.imwrite(folder / "mask" / f"{renamed}{suffix}", mask)
        (folder / "label" / f"{stem}.tif").write_bytes(b"for the eye only")
    if slug == "longxi_uav":  # neither has a partner
        tifffile.imwrite(folder / "img" / "longxihe_UAV9000.tif", image)
        tifffile.imwrite(folder / "mask" / "longxihe_UAV9001.tif", mask)
        (folder / "img" / "Thumbs.db").write_bytes(b"\0")
    if folder != place:
        inside = "jiuzhai/" if slug == "jiuzhai_uav02" else ""
        with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.rglob("*.*")):
                archive.write(file, f"{inside}{file.relative_to(folder)}")
                file.unlink()
        for kind in ("img", "mask", "label"):
            (folder / kind).rmdir()
        folder.rmdir()
    return place


def write_cas(root, slugs=tuple(COMPONENTS)):
    Path(root).mkdir(parents=True, exist_ok=True)
    for slug in slugs:
        write_subset(root, slug)
