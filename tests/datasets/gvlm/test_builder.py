"""The builder of gvlm, on sites written by a script."""

from collections import Counter
from typing import ClassVar

import numpy as np
import pytest
from etils import epath
from PIL import Image

from landslide_tf.datasets import IncompleteDataWarning, gvlm
from landslide_tf.datasets.gvlm import gvlm_dataset_builder as module
from landslide_tf.errors import DataError
from tests.contracts import dataset_builder
from tests.datasets.building import build, examples, nothing_visible

pytestmark = pytest.mark.filterwarnings(
    "ignore::landslide_tf.datasets.IncompleteDataWarning"
)
SITES = ("Alpha", "Beta", "Gamma", "Delta", "Epsilon", "Zeta")


def write_site(folder, seed, size=(40, 50), names=("im1", "im2", "ref"), label=255):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    images = [rng.integers(0, 255, (*size, 3), np.uint8) for _ in range(2)]
    mask = np.zeros(size, np.uint8)
    mask[: 5 * seed, :20] = label
    for name, values in zip(names, (*images, mask), strict=True):
        Image.fromarray(values).save(folder / f"{name}.png")
    return *images, mask


def write(root):
    for seed, site in enumerate(SITES):
        # One wider than a tile, one with a mask of 0 and 1, one without landslide.
        size = (530, 1030) if site == "Beta" else (40, 50)
        write_site(root / site, seed, size, label=1 if site == "Gamma" else 255)
    (root / "Alpha" / "Thumbs.db").touch()


class SitesTest(dataset_builder.DatasetBuilderContract):
    DATASET_CLASS = gvlm.Builder
    CONFIG = "sites"
    IMAGES = ("pre", "post")
    SPLITS: ClassVar = {"train": 4, "validation": 1, "test": 6}

    @classmethod
    def write_dummy_data(cls, folder):
        write(folder / "gvlm")


@pytest.fixture
def root(tmp_path):
    write(tmp_path / "manual" / "gvlm")
    return tmp_path / "manual" / "gvlm"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The dummy sites as they are, built; not to be changed."""
    folder = tmp_path_factory.mktemp("gvlm")
    write(folder / "manual" / "gvlm")
    with pytest.warns(IncompleteDataWarning, match="6 of 17 sites"):
        return build("gvlm", folder / "manual", folder)


def everything(builder):
    found = {}
    for split in builder.info.splits:
        found |= examples(builder, split)
    return found


def test_tiles_cover_every_pixel_once(built, tmp_path):
    found = everything(built)
    assert found["Gamma_0_0"]["mask"].sum() == 200
    pre, post, mask = write_site(tmp_path / "again", 1, (530, 1030))
    again = {"pre": np.zeros_like(pre), "post": np.zeros_like(post),
             "mask": np.full((*mask.shape, 1), 9, np.uint8)}  # fmt: skip
    tiles = [e for e in found.values() if e["site"] == b"Beta"]
    assert len(tiles) == 6
    for tile in tiles:
        height, width = tile["mask"].shape[:2]
        rows = slice(tile["row"], tile["row"] + height)
        columns = slice(tile["col"], tile["col"] + width)
        for name, whole in again.items():
            whole[rows, columns] = tile[name]
    np.testing.assert_array_equal(again["pre"], pre)
    np.testing.assert_array_equal(again["post"], post)
    np.testing.assert_array_equal(again["mask"][..., 0], mask == 255)


def test_sites_are_never_cut(built):
    report = built.info.metadata["files"]
    for split in built.info.splits:
        stored = {e["site"].decode() for e in examples(built, split).values()}
        assert stored == set(report[split]["sites"])
    listed = [site for part in report.values() for site in part["sites"]]
    assert sorted(listed) == sorted(SITES)
    ignored = [name for part in report.values() for name in part["ignored"]]
    assert ignored == ["Alpha/Thumbs.db"]


def test_seventeen_sites_are_split_as_said(tmp_path):
    sites = [module.Site(f"site {k}", *[epath.Path("x")] * 3, []) for k in range(17)]
    splits = module.split_sites(epath.Path(tmp_path), sites)
    assert {k: len(v) for k, v in splits.items()} == {
        "train": 11, "validation": 3, "test": 3,
    }  # fmt: skip


def test_a_list_replaces_the_hash(root, tmp_path):
    lines = [f"{site},{'val' if site == 'Beta' else 'train'}" for site in SITES]
    (root / "splits.csv").write_text("\n".join(["site,split", *lines, "Other,test"]))
    builder = build("gvlm", root.parent, tmp_path)
    assert Counter({k: v.num_examples for k, v in builder.info.splits.items()}) == {
        "train": 5, "validation": 6,
    }  # fmt: skip
    (root / "splits.csv").write_text("site,split\nAlpha,train")
    with pytest.raises(DataError, match=r"splits\.csv.*none for `Beta`"):
        build("gvlm", root.parent, tmp_path / "two")
    (root / "splits.csv").write_text("site,split\nAlpha,dev")
    with pytest.raises(DataError, match=r"splits\.csv.*received `dev`"):
        build("gvlm", root.parent, tmp_path / "two")


@pytest.mark.parametrize("names", [("A", "B", "change"), ("pre", "post", "Label")])
def test_other_names_of_the_pictures(tmp_path, names):
    root = tmp_path / "manual" / "GVLM_CD"
    pre, post, mask = write_site(root / "Only", 3, names=names)
    builder = build("gvlm", root.parent, tmp_path)
    tile = everything(builder)["Only_0_0"]
    np.testing.assert_array_equal(tile["pre"], pre)
    np.testing.assert_array_equal(tile["post"], post)
    np.testing.assert_array_equal(tile["mask"][..., 0], mask > 0)


def broken(site, fault):
    mask = Image.open(site / "ref.png").copy()
    name = "ref.png"
    if fault == "truncated":
        name = "im2.png"
        (site / name).write_bytes((site / name).read_bytes()[:3000])
    elif fault == "size":
        name = "im1.png"
        mask.resize((40, 40)).convert("RGB").save(site / name)
    elif fault == "grey":
        name = "im1.png"
        mask.save(site / name)
    elif fault == "mask size":
        mask.resize((40, 40)).save(site / name)
    elif fault == "mask values":
        values = np.array(mask)
        values[0, 0] = 7
        Image.fromarray(values).save(site / name)
    elif fault == "mask truncated":
        (site / name).write_bytes((site / name).read_bytes()[:-16])
    else:
        name = site.name
        if fault == "no mask":
            (site / "ref.png").unlink()
        elif fault == "names":
            (site / "im1.png").rename(site / "one.png")
        elif fault == "more":
            mask.save(site / "extra.png")
        elif fault == "empty":
            for path in site.iterdir():
                path.unlink()
    return name


@pytest.mark.parametrize(
    "fault",
    ["truncated", "size", "grey", "mask size", "mask values", "mask truncated",
     "no mask", "names", "more", "empty"],
)  # fmt: skip
def test_broken_files_are_named_and_nothing_is_built(root, tmp_path, fault):
    name = broken(root / "Delta", fault)
    with pytest.raises(DataError) as caught:
        build("gvlm", root.parent, tmp_path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert nothing_visible(tmp_path)


def test_nothing_there_shows_the_layout(tmp_path):
    with pytest.raises(DataError, match=r"<site>/im1\.png.*MANUAL_DIR"):
        build("gvlm", tmp_path / "absent", tmp_path)
