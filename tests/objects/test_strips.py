"""Masks that come in strips, against the same masks as a whole."""

import numpy as np
import pytest
import shapely
from rasterio import Affine
from scipy import ndimage

from landslide_tf.objects import label_objects, object_counts, outlines
from landslide_tf.objects.outlines import reading_order
from landslide_tf.objects.strips import StripLabels, compare_strips
from landslide_tf.raster.cog import Layer, write_plain
from landslide_tf.terrain import Grid


def noise(seed, share=0.45):
    """Winding objects, of which many reach over several strips."""
    return np.random.default_rng(seed).random((61, 40)) < share


@pytest.mark.parametrize("rows", [1, 7, 61])
@pytest.mark.parametrize("min_area", [1, 16])
@pytest.mark.parametrize("share", [0, 0.2, 0.4, 1])
def test_labels_are_those_of_the_whole(rows, min_area, share):
    mask = noise(int(100 * share), share)
    parts = [mask[k : k + rows] for k in range(0, len(mask), rows)]
    strips = StripLabels(min_area)
    for part in parts:
        strips.add(part)
    found = [strips.labels(k, part) for k, part in enumerate(parts)]
    labels, number = label_objects(mask, min_area=min_area)
    np.testing.assert_array_equal(np.concatenate(found), labels)
    assert strips.number == number
    assert strips.found == label_objects(mask, min_area=0)[1]


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_those_of_the_whole(seed):
    truth = np.kron(noise(seed, 0.3), np.ones((3, 3), bool))
    others = [
        np.roll(truth, 1, axis=0) & (noise(9).repeat(3, 0).repeat(3, 1)),
        truth,
        np.zeros_like(truth),
    ]

    def strips():
        for k in range(0, len(truth), 20):
            yield truth[k : k + 20], [mask[k : k + 20] for mask in others]

    pixels, overlaps, labels = compare_strips(strips, len(others))
    assert labels.number == label_objects(truth)[1]
    for mask, counts, overlap in zip(others, pixels, overlaps, strict=True):
        assert counts == object_counts(truth, mask, match="pixel")
        assert overlap.counts("overlap") == object_counts(truth, mask, match="overlap")
        for threshold in (0.1, 0.5):
            assert overlap.counts("iou", iou_threshold=threshold) == object_counts(
                truth, mask, iou_threshold=threshold
            )
        assert overlap.counts("overlap", min_overlap=0.5) == object_counts(
            truth, mask, match="overlap", min_overlap=0.5
        )


@pytest.mark.parametrize("rows", [1, 7, 61])
def test_areas_of_objects_are_those_of_their_rows(rows):
    mask, cells = noise(3, 0.35), np.linspace(50, 90, 61)
    strips = StripLabels(600)
    for k in range(0, len(mask), rows):
        strips.add(mask[k : k + rows], cells[k : k + rows])
    labels, number = label_objects(mask, min_area=0)
    sizes = ndimage.sum_labels(
        np.broadcast_to(cells[:, None], mask.shape), labels, np.arange(1, number + 1)
    )
    assert strips.found == number and strips.number == (sizes >= 600).sum() > 3


def test_outlines_are_in_the_order_of_the_labels(tmp_path):
    grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 61, 40)
    labels, number = label_objects(noise(5, 0.35), min_area=3)
    path, layer = tmp_path / "mask.tif", Layer("uint8", 255, ["mask"])
    write_plain(path, grid, layer, [(0, (labels > 0).astype(np.uint8)[None])])
    found, pixels = outlines(path, grid)
    order = reading_order(found, grid)
    assert len(found) == number and (order != np.arange(number)).any()
    np.testing.assert_array_equal(pixels[order], np.bincount(labels.ravel())[1:])
    for k in (0, number // 2, number - 1):
        row, column = np.argwhere(labels == k + 1).mean(axis=0)
        x, y = grid.transform @ (column + 0.5, row + 0.5)
        centre = shapely.centroid(found[order[k]])
        assert (centre.x, centre.y) == pytest.approx((x, y))
    assert reading_order(np.array([], object), grid).size == 0
