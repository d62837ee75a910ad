"""Study areas of CAS: a generated shapefile, what examples carry, and the map."""

import zipfile

import numpy as np
import pyogrio
import pyproj
import pytest
import shapely
import tensorflow_datasets as tfds

from landslide_tf.datasets import IncompleteDataWarning
from landslide_tf.datasets.cas_landslide.areas import areas_of, read_areas
from landslide_tf.datasets.cas_landslide.subsets import SUBSETS
from landslide_tf.errors import DataError
from landslide_tf.report import area_map
from tests.contracts.command import Command
from tests.datasets import cas_files

pytestmark = pytest.mark.filterwarnings(
    # The dummy archives hold a few tiles only.
    "ignore::landslide_tf.datasets.IncompleteDataWarning"
)
# In degrees; three of them are near each other.
PLACES = {
    "Longxi River": shapely.box(103.5, 31.0, 103.7, 31.2),
    "Jiuzhai valley": shapely.box(103.7, 33.0, 104.0, 33.3),
    "Moxi Town": shapely.box(102.0, 29.5, 102.2, 29.7),
    "Moxitaidi": shapely.box(102.1, 29.6, 102.15, 29.65),
    "Haiti": shapely.box(-74.5, 18.1, -72.5, 18.7),
}


def write_shapes(path, places, crs="EPSG:4326", kind="Polygon", **fields):
    path.parent.mkdir(parents=True, exist_ok=True)
    pyogrio.raw.write(
        path, geometry=shapely.to_wkb(np.array(list(places))), crs=crs,
        field_data=[np.array(values) for values in fields.values()],
        fields=np.array(list(fields), object), geometry_type=kind,
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def manual(tmp_path_factory):
    """Two sub sets of tiles, and the areas in metres of a UTM zone, packed."""
    root = tmp_path_factory.mktemp("cas")
    for slug in ("moxi_uav02", "longxi_uav"):
        cas_files.write_subset(root, slug)
    move = pyproj.Transformer.from_crs(4326, 32648, always_xy=True).transform
    chosen = [name for name in PLACES if name != "Haiti"]
    moved = [
        shapely.transform(PLACES[n], lambda xy: np.stack(move(*xy.T), -1))
        for n in chosen
    ]
    path = write_shapes(
        root / "made" / "study area.shp", moved, "EPSG:32648",
        id=list(range(len(chosen))), Name=np.array(chosen, object),
        remarks=np.array(["x"] * len(chosen), object),
    )  # fmt: skip
    with zipfile.ZipFile(root / "Study areas shp.zip", "w") as archive:
        for file in sorted(path.parent.iterdir()):
            archive.write(file, f"study areas/{file.name}")
    return root


@pytest.fixture(scope="module")
def built(manual, tmp_path_factory):
    builder = tfds.builder("cas_landslide/uav", data_dir=tmp_path_factory.mktemp("d"))
    config = tfds.download.DownloadConfig(manual_dir=manual)
    with pytest.warns(IncompleteDataWarning):
        builder.download_and_prepare(download_config=config)
    return builder


def test_examples_carry_name_and_outline_of_their_area(built):
    expected = {"moxi_uav02": "Moxi Town", "longxi_uav": "Longxi River"}
    seen = set()
    for split in built.info.splits:
        for example in tfds.as_numpy(built.as_dataset(split=split)):
            name = expected[example["subset"].decode()]
            assert example["area"].decode() == name
            outline = shapely.from_wkt(example["outline"].decode())
            assert outline.symmetric_difference(PLACES[name]).area < 1e-5
            seen.add(name)
    assert seen == set(expected.values())
    areas = tfds.builder_from_directory(built.data_dir).info.metadata["areas"]
    assert {a["name"]: a["subsets"] for a in areas} == {
        name: [slug] for slug, name in expected.items()
    }


def test_info_shows_them_on_a_map(built, monkeypatch, capsys):
    command = Command(monkeypatch, capsys)
    data_dir = built.data_path.parent.parent.parent
    code, out, err = command(
        "datasets", "info", "cas_landslide/uav", "--data-dir", data_dir
    )
    assert code == 0, err
    assert "Moxi Town: 29.60°N 102.10°E, 0.20° x 0.20°" in out
    assert "Longxi River: 31.10°N 103.60°E" in out
    frame = [line for line in out.splitlines() if line.startswith("|")]
    lines = {line[3:].partition(":")[0]: line[0] for line in out.splitlines()}
    (moxi,), (longxi,) = (
        [(row, line.index(lines[name])) for row, line in enumerate(frame)
         if lines[name] in line]
        for name in ("Moxi Town", "Longxi River")
    )  # fmt: skip
    # Longxi lies north-east of Moxi.
    assert longxi[0] < moxi[0] and longxi[1] > moxi[1]


def test_a_map_marks_places_that_several_areas_share():
    areas = [{"name": n, "outline": shapely.to_wkt(p)} for n, p in PLACES.items()]
    lines = area_map(areas)
    frame = [line for line in lines if line.startswith("|")]
    assert {len(line) for line in frame} == {72} and len(frame) == 20
    marks = "".join(frame).replace("|", "").replace(" ", "")
    assert "+" in marks and "e" in marks  # China in a few places, Haiti apart
    assert sum(line.startswith(tuple("abcde")) for line in lines) == 5


@pytest.mark.parametrize(
    ("slug", "names", "expected"),
    [
        ("palu", ["Palu", "Lombok"], "Palu"),
        ("hokkaido", ["Hokkaido"], "Hokkaido"),
        ("hokkaido", ["iburi_tobu"], "iburi_tobu"),
        ("tiburon_planet", ["Haiti 1", "Haiti 2", "Palu"], "Haiti 1, Haiti 2"),
        ("moxitaidi_uav06", ["Moxi", "Moxitaidi"], "Moxitaidi"),
        ("moxi_uav1", ["Moxi", "Moxitaidi"], "Moxi"),
        ("moxi_uav1", ["Luding"], "Luding"),
        ("jiuzhai_uav02", ["JiuZhaiGou", "Longxi"], "JiuZhaiGou"),
        ("longxi_sat", ["Longxi_River"], "Longxi_River"),
        ("wenchuan", ["Palu", ""], None),
    ],
)
def test_areas_are_found_by_their_names(slug, names, expected):
    outlines = {name: shapely.box(k, 0, k + 1, 1) for k, name in enumerate(names)}
    found = areas_of([slug], outlines)
    assert (found[slug].name if found else None) == expected
    if expected is not None:
        whole = shapely.union_all([outlines[n] for n in expected.split(", ")])
        assert shapely.equals(shapely.from_wkt(found[slug].outline), whole)
        assert SUBSETS[slug].slug == slug


def test_files_name_areas_that_have_no_names(tmp_path):
    for name in ("Haiti", "Moxitaidi"):
        place = PLACES[name]
        halves = [shapely.box(*place.bounds[:3], place.centroid.y), place]
        write_shapes(tmp_path / name / f"{name}.shp", halves, id=[1, 2])
    found = read_areas(tmp_path)
    assert set(found) == {"Haiti", "Moxitaidi"}
    for name, outline in found.items():
        assert outline.symmetric_difference(PLACES[name]).area < 1e-9


@pytest.mark.parametrize("fault", ["none", "no system", "no dbf", "garbage", "points"])
def test_broken_shapefiles_end_in_one_line(tmp_path, fault):
    places = [PLACES["Haiti"]]
    if fault == "points":
        write_shapes(tmp_path / "a.shp", [shapely.Point(1, 2)], kind="Point", id=[1])
    elif fault != "none":
        path = write_shapes(tmp_path / "a.shp", places, Name=np.array(["x"], object))
        if fault == "no system":
            path.with_suffix(".prj").unlink()
        elif fault == "no dbf":
            path.with_suffix(".shx").unlink()
        else:
            path.write_bytes(b"garbage")
    with pytest.raises(DataError) as caught:
        read_areas(tmp_path)
    assert "\n" not in str(caught.value)


def test_without_outlines_the_build_warns_and_features_are_empty(manual, tmp_path):
    cas_files.write_subset(tmp_path / "manual", "wenchuan")
    builder = tfds.builder("cas_landslide/wenchuan", data_dir=tmp_path / "data")
    config = tfds.download.DownloadConfig(manual_dir=tmp_path / "manual")
    with pytest.warns(IncompleteDataWarning, match=r"put `study areas shp.zip`"):
        builder.download_and_prepare(download_config=config)
    (split,) = builder.info.splits
    (example,) = tfds.as_numpy(builder.as_dataset(split=split))
    assert example["area"] == example["outline"] == b""
