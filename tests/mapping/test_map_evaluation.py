"""Maps against references, with numbers worked out by hand."""

import json

import numpy as np
import pytest
from rasterio import Affine

from landslide_tf.errors import DataError
from landslide_tf.mapping import Mask, MaskFiles, evaluate_map, write_evaluation
from tests.mapping import map_files as files

TAGS = {"LANDSLIDE_CLASS": "1"}


def class_map(path, values, **options):
    import rasterio

    transform = options.pop("transform", files.NORTH_UP)
    name = files.write(
        path, values[None].astype(np.uint8), transform=transform, nodata=255
    )
    with rasterio.open(name, "r+") as dataset:
        dataset.update_tags(**options.pop("tags", TAGS))
    return name


def worked():
    """Of 100 m² a pixel: reference 100 and 25, map 80 of the first and 36 others."""
    truth, found = np.zeros((40, 40)), np.zeros((40, 40))
    truth[2:12, 2:12] = 1
    truth[20:25, 20:25] = 1
    found[2:12, 4:12] = 1
    found[30:36, 30:36] = 1
    found[:, 39] = 255
    return truth, found


def check(result):
    # Of 1560 pixels: 80 right, 36 false, 20 + 25 missed.
    assert result.scores.matrix.tolist() == [[1560 - 80 - 36 - 45, 36], [45, 80]]
    assert result.scores.of_class(1)["iou"] == pytest.approx(80 / 161)
    assert result.ignored == 40
    counts = result.objects["iou"]
    assert (counts.tp, counts.fp, counts.fn) == (1, 1, 1)
    rows = [(row.smallest, row.number, row.found) for row in result.sizes]
    # 2,500 m² is missed, 10,000 m² found.
    assert rows == [(0, 0, 0), (1e3, 1, 0), (1e4, 1, 1), (1e5, 0, 0)]


def test_a_raster_reference(tmp_path):
    truth, found = worked()
    name = class_map(tmp_path / "map.tif", found)
    reference = files.write(tmp_path / "r.tif", truth[None].astype(np.uint8))
    result = evaluate_map(name, tmp_path / "r.tif")
    check(result)
    write_evaluation(result, tmp_path / "e.json")
    content = json.loads((tmp_path / "e.json").read_text())
    assert content["objects"]["iou"]["tp"] == 1 and content["sizes"][2]["found"] == 1
    assert reference


def test_a_map_with_the_south_on_top(tmp_path):
    truth, found = worked()
    turned = files.NORTH_UP @ Affine(1, 0, 0, 0, -1, 40)
    name = class_map(tmp_path / "map.tif", found[::-1], transform=turned)
    files.write(tmp_path / "r.tif", truth[None].astype(np.uint8))
    check(evaluate_map(name, tmp_path / "r.tif"))


def test_polygons_as_reference(tmp_path):
    import pyogrio
    import shapely

    _, found = worked()
    name = class_map(tmp_path / "map.tif", found)
    x, y = 500_000, 4_600_000
    boxes = [
        shapely.box(x + 20, y - 120, x + 120, y - 20),
        shapely.box(x + 200, y - 250, x + 250, y - 200),
    ]
    pyogrio.raw.write(
        tmp_path / "r.gpkg", geometry=shapely.to_wkb(np.array(boxes)), field_data=[],
        fields=np.array([], object), geometry_type="Polygon", crs=files.CRS,
    )  # fmt: skip
    check(evaluate_map(name, tmp_path / "r.gpkg"))


def test_only_what_lies_within_polygons_counts(tmp_path):
    truth, found = worked()
    name = class_map(tmp_path / "map.tif", found)
    files.write(tmp_path / "r.tif", truth[None].astype(np.uint8))
    corners = np.array([[0, 0], [15, 0], [15, 40], [0, 40], [0, 0]]) * (10, -10)
    ring = np.add(corners, (500_000, 4_600_000)).tolist()
    polygon = {"type": "Polygon", "coordinates": [ring]}
    crs = {"type": "name", "properties": {"name": files.CRS}}
    content = {
        "type": "FeatureCollection",
        "crs": crs,
        "features": [{"type": "Feature", "properties": {}, "geometry": polygon}],
    }
    (tmp_path / "w.geojson").write_text(json.dumps(content))
    result = evaluate_map(
        name, tmp_path / "r.tif", masks=MaskFiles(tmp_path / "w.geojson")
    )
    # The first 15 of 40 columns: the reference's 100 pixels, of which 80 are found.
    assert result.scores.matrix.tolist() == [[600 - 100, 0], [20, 80]]
    assert result.ignored == 1000
    assert (result.objects["iou"].tp, result.objects["iou"].fp) == (1, 0)
    with pytest.raises(DataError, match=r"no\.geojson"):
        evaluate_map(name, tmp_path / "r.tif", masks=MaskFiles(tmp_path / "no.geojson"))


def test_what_does_not_fit(tmp_path):
    truth, found = worked()
    name = class_map(tmp_path / "map.tif", found)
    with pytest.raises(DataError, match="do not exist"):
        evaluate_map(name, tmp_path / "no.tif")
    far = Affine(10, 0, 700_000, 0, -10, 4_600_000)
    files.write(tmp_path / "far.tif", truth[None].astype(np.uint8), transform=far)
    with pytest.raises(DataError, match="share no ground"):
        evaluate_map(name, tmp_path / "far.tif")
    files.write(tmp_path / "r.tif", truth[None].astype(np.uint8) * 7)
    with pytest.raises(DataError, match="received 7"):
        evaluate_map(name, tmp_path / "r.tif")
    assert evaluate_map(name, tmp_path / "r.tif", positive=["7"]).ignored == 40
    silent = class_map(tmp_path / "silent.tif", found, tags={})
    with pytest.raises(DataError, match="--landslide-class"):
        evaluate_map(silent, tmp_path / "r.tif")
    with pytest.raises(DataError, match=r"one band of classes \(uint8\)"):
        evaluate_map(
            files.write(tmp_path / "f.tif", truth[None]), tmp_path / "r.tif",
            landslide_class=1,
        )  # fmt: skip


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_mask_of_0_and_255_is_refused_with_the_option_that_reads_it(tmp_path, dtype):
    truth, found = worked()
    name = class_map(tmp_path / "map.tif", found)
    path = tmp_path / "r.tif"
    files.write(path, truth[None].astype(dtype) * dtype(255))
    with pytest.raises(DataError, match=r"only 0 and 255 .* `--positive 255`"):
        evaluate_map(name, path)
    check(evaluate_map(name, path, positive=["255"]))


def test_255_that_is_tagged_or_explained_is_no_label(tmp_path):
    truth, found = worked()
    name = class_map(tmp_path / "map.tif", found)
    path = tmp_path / "r.tif"
    files.write(path, truth[None].astype(np.uint8) * 255, nodata=255)
    with pytest.warns(UserWarning, match="recall has no value") as said:
        result = evaluate_map(name, path)
    # 40 pixels of the map and 125 of the reference have no class.
    assert len(said) == 1 and result.ignored == 165
    files.write(path, truth[None].astype(np.uint8) * 255)
    with pytest.warns(UserWarning, match="recall has no value"):
        assert evaluate_map(name, path, positive=["1"]).ignored == 165


def test_scores_without_a_value_are_told(tmp_path):
    truth, found = worked()
    empty = class_map(tmp_path / "empty.tif", np.zeros_like(found))
    files.write(tmp_path / "r.tif", truth[None].astype(np.uint8))
    with pytest.warns(UserWarning, match="precision has no value"):
        evaluate_map(empty, tmp_path / "r.tif")
    nothing = class_map(tmp_path / "nothing.tif", np.full_like(found, 255))
    with pytest.raises(DataError, match="received none that both have"):
        evaluate_map(nothing, tmp_path / "r.tif")


def test_an_empty_inventory_is_a_reference_without_landslides(tmp_path):
    path = class_map(tmp_path / "map.tif", np.eye(20))
    empty = tmp_path / "empty.geojson"
    empty.write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.warns(UserWarning, match="holds no landslide where it is compared"):
        found = evaluate_map(path, empty)
    assert found.scores.matrix.tolist() == [[380, 20], [0, 0]]
    for options in ({"outside": "ignore"}, {"masks": MaskFiles(empty)}):
        with pytest.raises(DataError, match="must hold polygons"):
            evaluate_map(path, empty, **options)


def test_masked_pixels_count_nowhere(tmp_path):
    """A mask of cells of 20 m that begin 40 m further west, by values."""
    truth, found = worked()
    name = class_map(tmp_path / "map.tif", found)
    files.write(tmp_path / "r.tif", truth[None].astype(np.uint8))
    classes = np.random.default_rng(0).choice([0, 3, 4, 8], (1, 22, 22))
    coarse = Affine(20, 0, 499_960, 0, -20, 4_600_040)
    mask = files.write(
        tmp_path / "scl.tif", classes.astype(np.uint8), transform=coarse, nodata=0
    )
    masks = MaskFiles(masks=(Mask(mask, (3, 8)),))
    result = evaluate_map(name, tmp_path / "r.tif", masks=masks)
    hidden = np.isin(classes[0], (3, 8)).repeat(2, 0).repeat(2, 1)[4:44, 4:44]
    seen = ~hidden & (found != 255)
    expected = [
        [int((seen & (truth == t) & (found == f)).sum()) for f in (0, 1)]
        for t in (0, 1)
    ]
    assert result.scores.matrix.tolist() == expected
    assert result.ignored == 1600 - seen.sum()
    assert result.as_dict()["masked"] == {"MASK": '["scl.tif:3,8"]'}
