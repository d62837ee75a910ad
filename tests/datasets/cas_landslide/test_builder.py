"""The builder of cas_landslide, on archives and folders written by a script."""

import shutil
import zipfile
from typing import ClassVar

import numpy as np
import pytest
import tensorflow_datasets as tfds
import tifffile
from etils import epath

from landslide_tf.datasets import IncompleteDataWarning, cas_landslide, check_dataset
from landslide_tf.datasets.cas_landslide import partition, subsets
from landslide_tf.datasets.common.pairing import Pair
from landslide_tf.datasets.common.splits import SPLITS
from landslide_tf.datasets.common.tile_grid import Place
from landslide_tf.errors import DataError
from tests.contracts import dataset_builder
from tests.datasets import cas_files

pytestmark = pytest.mark.filterwarnings(
    # The dummy archives hold a few tiles only; the test that counts them asks for it.
    "ignore::landslide_tf.datasets.IncompleteDataWarning"
)


class UavTest(dataset_builder.DatasetBuilderContract):
    DATASET_CLASS = cas_landslide.Builder
    CONFIG = "uav"
    SPLITS: ClassVar = {"train": 5, "validation": 8, "test": 3}

    @classmethod
    def write_dummy_data(cls, folder):
        cas_files.write_cas(folder / "cas_landslide")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """All dummy archives; not to be changed."""
    folder = tmp_path_factory.mktemp("cas") / "manual"
    cas_files.write_cas(folder)
    return folder


@pytest.fixture(scope="module")
def uav(written, tmp_path_factory):
    return build(written, tmp_path_factory.mktemp("cas"), "uav")


def build(manual, data, config, **arguments):
    builder = tfds.builder(f"cas_landslide/{config}", data_dir=data)
    configuration = tfds.download.DownloadConfig(manual_dir=manual, **arguments)
    builder.download_and_prepare(download_config=configuration)
    return builder


def examples(builder):
    return {
        split: {
            e["id"].decode(): e for e in tfds.as_numpy(builder.as_dataset(split=split))
        }
        for split in builder.info.splits
    }


def test_published_numbers_and_configurations():
    groups = {"uav": 13443, "sat": 7422}
    for group, tiles in groups.items():
        assert tiles == sum(
            s.tiles for s in subsets.SUBSETS.values() if s.group == group
        )
    assert len({s.region for s in subsets.SUBSETS.values()}) == 9
    configs = {c.name: c for c in cas_landslide.Builder.BUILDER_CONFIGS}
    whole = ("uav_sat", "uav", "sat")
    assert set(configs) == {
        *(f"{name}-region" for name in whole),
        *(
            f"{name}{end}"
            for name in (*whole, *subsets.SUBSETS)
            for end in ("", "-random")
        ),
    }
    assert set(configs["uav_sat"].slugs) == set(subsets.SUBSETS)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("palu.zip", "palu"),
        ("PALU", "palu"),
        ("Moxitaidi (UAV-0.6m).zip", "moxitaidi_uav06"),
        ("Moxitaidi（UAV-1m）.zip", "moxitaidi_uav1"),  # noqa: RUF001
        ("Longxi River(SAT).zip", "longxi_sat"),
        ("Longxi River（UAV）.zip", "longxi_uav"),  # noqa: RUF001
        ("Tiburon Peninsula（Sentinel）.zip", "tiburon_sentinel"),  # noqa: RUF001
        ("tiburon_peninsula_(Planet)", "tiburon_planet"),
        ("Hokkaido Iburi-Tobu.zip", "hokkaido"),
        ("jiuzhai_uav05.ZIP", "jiuzhai_uav05"),
        ("Moxi town（UAV-0.2m）.zip", "moxi_uav02"),  # noqa: RUF001
        ("study areas shp.zip", None),
        ("Palu.tar", None),
    ],
)
def test_names_of_archives(tmp_path, name, slug):
    entry = tmp_path / name
    if entry.suffix.lower() in (".zip", ".tar"):
        entry.write_bytes(b"")
    else:
        (entry / "img").mkdir(parents=True)
    found = subsets.find_places([epath.Path(tmp_path)], list(subsets.SUBSETS))
    assert {s: p.name for s, p in found.items()} == ({slug: name} if slug else {})


def test_folders_come_before_archives(tmp_path):
    (tmp_path / "Palu.zip").write_bytes(b"")
    (tmp_path / "palu" / "nested" / "IMG").mkdir(parents=True)
    found = subsets.find_places([epath.Path(tmp_path)], ["palu"])
    assert found["palu"].name == "palu"


def test_tiles_are_stored_as_they_are(uav):
    found = {n: e for part in examples(uav).values() for n, e in part.items()}
    assert len(found) == 16
    for slug in ("moxi_uav02", "longxi_uav", "jiuzhai_uav02"):
        cells = [
            (number, *cell)
            for number, component in enumerate(cas_files.COMPONENTS[slug])
            for cell in component
        ]
        for place, (stem, image, mask) in zip(
            cells, cas_files.tiles(slug), strict=True
        ):
            example = found[f"{slug}_{stem}"]
            np.testing.assert_array_equal(example["image"], image)
            np.testing.assert_array_equal(example["mask"][..., 0], mask)
            assert (example["component"], example["y"], example["x"]) == place
            assert example["subset"].decode() == slug
            assert example["group"] == b"uav"
    name = "jiuzhai_uav02_jiuzzhaigou_0.2m_UVA0001"
    assert found[name]["region"] == b"jiuzhai"
    assert found[name]["gsd"] == np.float32(0.2)


def test_blocks_share_no_ground_and_random_tiles_do(uav, written, tmp_path):
    assert check_dataset(uav).leaks == []
    leaks = check_dataset(build(written, tmp_path, "uav-random")).leaks
    assert {pair.how for pair in leaks} == {"half tiles"}
    assert {pair.share for pair in leaks} == {0.25, 0.5}


def test_a_region_is_in_one_part_only(written, tmp_path):
    found = examples(build(written, tmp_path, "uav-region"))
    regions = {s: {e["region"] for e in part.values()} for s, part in found.items()}
    assert sorted(map(len, regions.values())) == [1, 1, 1]
    assert len(set.union(*regions.values())) == 3
    with pytest.raises(DataError, match="three regions or more"):
        build(written, tmp_path, "sat-region")


def test_files_are_counted_and_leftovers_named(written, tmp_path):
    with pytest.warns(IncompleteDataWarning) as caught:
        builder = build(written, tmp_path, "longxi_uav")
    messages = " ".join(str(w.message) for w in caught)
    assert "longxi_uav 4 of 2504 tiles" in messages
    assert "leaves out 2 images or masks without partner" in messages
    report = tfds.builder_from_directory(builder.data_dir).info.metadata["files"]
    assert report["longxi_uav"]["images_without_mask"] == ["longxihe_UAV9000.tif"]
    assert report["longxi_uav"]["masks_without_image"] == ["longxihe_UAV9001.tif"]
    assert report["longxi_uav"]["ignored"] == ["img/Thumbs.db"]
    assert report["longxi_uav"]["components"] == 3
    for part, found in examples(builder).items():
        shares = [e["mask"].mean() for e in found.values()]
        assert report[part]["landslide_share"] == pytest.approx(np.mean(shares))


def test_parts_without_a_tile_are_left_out_with_a_warning(written, tmp_path):
    with pytest.warns(IncompleteDataWarning, match="too few tiles for the parts"):
        builder = build(written, tmp_path, "wenchuan")
    assert sum(s.num_examples for s in builder.info.splits.values()) == 1


def grid(rows, columns, slug="palu", name="a"):
    return [
        partition.Tile(
            slug,
            Pair(f"{slug}_{name}_{y}_{x}", epath.Path("i"), epath.Path("m")),
            Place(f"{slug}_{name}", x, y),
            0,
        )
        for y in range(rows)
        for x in range(columns)
    ]


def test_parts_of_blocks_never_touch():
    tiles = [*grid(70, 90), *grid(50, 50, name="b"), *grid(30, 30, "lombok")]
    split = partition.by_block(tiles)
    assert sum(map(len, split.values())) == len(tiles)
    part_of = {t.pair.key: part for part, members in split.items() for t in members}
    at = {(t.slug, t.place.component, t.place.y, t.place.x): t for t in tiles}
    for (slug, component, y, x), tile in at.items():
        part = part_of[tile.pair.key]
        for i in (-1, 0, 1):
            for j in (-1, 0, 1):
                other = at.get((slug, component, y + i, x + j))
                if other is not None and part != "dropped":
                    assert part_of[other.pair.key] in (part, "dropped")
    assert all(len(split[part]) > 0.05 * len(tiles) for part in SPLITS)
    assert len(split["dropped"]) < 0.3 * len(tiles)
    again = partition.by_block(tiles[::-1])
    assert {p: {t.pair.key for t in m} for p, m in again.items()} == {
        p: {t.pair.key for t in m} for p, m in split.items()
    }


def longxi(tmp_path):
    return cas_files.write_subset(tmp_path / "manual", "longxi_uav")


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ("truncated image", "img/longxihe_UAV0001.tif"),
        ("16 bits", "img/longxihe_UAV0001.tif"),
        ("size", "img/longxihe_UAV0001.tif"),
        ("mask size", "longxihe_UAV0001.tif"),
        ("mask value", "longxihe_UAV0001.tif"),
        ("two images", "longxihe_uav0001"),
        ("no masks", "mask"),
        ("no folder", "expects the data set's zip archives"),
    ],
)
def test_broken_files_are_named_and_nothing_is_built(tmp_path, fault, named):
    folder = longxi(tmp_path)
    image = folder / "img" / "longxihe_UAV0001.tif"
    mask = folder / "mask" / "longxihe_UAV0001.tif"
    pixels = tifffile.imread(image)
    if fault == "truncated image":
        image.write_bytes(image.read_bytes()[:300_000])
    elif fault == "16 bits":
        tifffile.imwrite(image, pixels.astype(np.uint16))
    elif fault == "size":
        tifffile.imwrite(image, pixels[:256])
    elif fault == "mask size":
        tifffile.imwrite(mask, pixels[:256, :256, 0] // 255)
    elif fault == "mask value":
        tifffile.imwrite(mask, np.full((512, 512), 3, np.uint8))
    elif fault == "two images":
        shutil.copy(image, image.with_suffix(".TIFF"))
    elif fault == "no masks":
        shutil.rmtree(mask.parent)
    else:
        shutil.rmtree(folder)
    with pytest.raises(DataError) as caught:
        build(tmp_path / "manual", tmp_path / "data", "longxi_uav")
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "data").glob("cas_landslide/longxi_uav/[!.]*"))


def test_names_in_archives_need_not_be_unicode(tmp_path):
    path = tmp_path / "manual" / "Palu.zip"
    cas_files.write_subset(tmp_path / "manual", "wenchuan", "other.zip")
    other = tmp_path / "manual" / "other.zip"
    # GBK bytes, which an unflagged name is read as code page 437 from.
    top = "\u5e15\u5362".encode("gbk").decode("cp437")
    with zipfile.ZipFile(other) as source, zipfile.ZipFile(path, "w") as archive:
        for member in source.infolist():
            archive.writestr(f"{top}/{member.filename}", source.read(member))
    builder = build(tmp_path / "manual", tmp_path / "data", "palu")
    assert builder.info.metadata["files"]["palu"]["found"] == 1


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore")  # Beam's own, about many things
def test_beam_makes_the_same_examples(uav, written, tmp_path):
    pytest.importorskip("apache_beam", reason="Apache Beam is not installed")
    beam = build(written, tmp_path / "beam", "uav", beam_runner="DirectRunner")
    assert beam.info.metadata["files"] == uav.info.metadata["files"]
    one, two = examples(uav), examples(beam)
    assert {s: set(e) for s, e in one.items()} == {s: set(e) for s, e in two.items()}
    for split, found in one.items():
        for name, example in found.items():
            for key, value in example.items():
                np.testing.assert_array_equal(value, two[split][name][key])
