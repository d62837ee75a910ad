"""The builder of synthetic_landslides."""

import signal
import subprocess
import sys
import textwrap
from typing import ClassVar

import numpy as np
import pytest
import tensorflow_datasets as tfds

from landslide_tf.datasets import synthetic_landslides
from landslide_tf.datasets.synthetic_landslides import generate_tile
from landslide_tf.datasets.synthetic_landslides import (
    synthetic_landslides_dataset_builder as module,
)
from landslide_tf.errors import RunError
from landslide_tf.files import locked
from tests.contracts import dataset_builder

SMALL = module.Config(
    name="small", description="For tests.", regions=(0, 2), counts=(4, 2, 2), size=32
)
SMALL_VISIBLE = module.Config(
    name="small_visible", description="For tests.", counts=(1, 1, 1), size=32,
    visible=True,
)  # fmt: skip


class SyntheticLandslidesTest(dataset_builder.DatasetBuilderContract):
    DATASET_CLASS = synthetic_landslides.Builder
    CONFIG = SMALL
    SPLITS: ClassVar = {"train": 8, "validation": 4, "test": 4}


class VisibleTest(dataset_builder.DatasetBuilderContract):
    DATASET_CLASS = synthetic_landslides.Builder
    CONFIG = SMALL_VISIBLE
    SPLITS: ClassVar = {"train": 4, "validation": 4, "test": 4}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    builder = tfds.builder(
        "synthetic_landslides/tiny", data_dir=tmp_path_factory.mktemp("tfds")
    )
    builder.download_and_prepare()
    return builder


@pytest.mark.parametrize(
    ("config", "total", "size", "classes"),
    [("default", (1024, 256, 256), 128, 6), ("tiny", (160, 16, 40), 96, 6),
     ("visible", (512, 128, 256), 96, 2),
     ("visible-region2", (128, 32, 64), 96, 2)],
)  # fmt: skip
def test_configurations(tmp_path, config, total, size, classes):
    builder = tfds.builder(f"synthetic_landslides/{config}", data_dir=tmp_path)
    chosen = builder.builder_config
    assert tuple(len(chosen.regions) * n for n in chosen.counts) == total
    assert builder.info.features["image"].shape == (size, size, 3)
    assert builder.info.features["mask"].num_classes == classes
    metadata = builder.info.metadata
    assert metadata["landslide_class"] == metadata["classes"].index("landslide")
    assert str(builder.version) == "1.0.0"


def test_default_configuration(tmp_path):
    builder = tfds.builder("synthetic_landslides", data_dir=tmp_path)
    assert builder.builder_config.name == "default"


def test_tiny_has_its_tiles_as_generated(tiny):
    counts = {name: split.num_examples for name, split in tiny.info.splits.items()}
    assert counts == {"train": 160, "validation": 16, "test": 40}
    examples = {e["id"]: e for e in tfds.as_numpy(tiny.as_dataset(split="test"))}
    assert len(examples) == 40
    example = examples[b"region0_test_0007"]
    tile = generate_tile(module.SEED, 0, "test", 7, size=96)
    np.testing.assert_array_equal(example["image"], tile["image"])
    np.testing.assert_array_equal(example["mask"][..., 0], tile["mask"])
    np.testing.assert_array_equal(example["dem"][..., 0], tile["dem"])
    for k, name in enumerate(("slope", "aspect", "ndvi")):
        np.testing.assert_array_equal(example["factors"][..., k], tile[name])
    assert (example["region"], example["index"], example["gsd"]) == (0, 7, 2.0)


def test_supervised_examples_suit_a_model_with_two_inputs(tiny):
    inputs, mask = next(iter(tiny.as_dataset(split="test", as_supervised=True)))
    assert sorted(inputs) == ["factors", "image"]
    assert mask.shape == (96, 96, 1)


def run(script, *arguments, cwd):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.integration
def test_loads_after_the_import_in_another_folder(tiny, tmp_path):
    script = """
        import sys
        import landslide_tf
        heavy = {"tensorflow", "keras", "scipy", "tifffile"} & set(sys.modules)
        assert not heavy, heavy
        import tensorflow_datasets as tfds
        data, info = tfds.load("synthetic_landslides/tiny", split="test",
                               data_dir=sys.argv[1], with_info=True)
        print(len(list(data)), info.metadata["landslide_class"])
    """
    done = run(script, tiny.data_dir_root, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["40", "0"]


@pytest.mark.integration
def test_a_killed_build_is_invisible_and_its_leftovers_go(tmp_path):
    script = """
        import os, signal, sys
        from landslide_tf.datasets.synthetic_landslides import generate
        from landslide_tf.datasets.synthetic_landslides import (
            synthetic_landslides_dataset_builder as module)
        real = generate.generate_tile
        def deadly(seed, region, split, index, **arguments):
            if split == "train" and region == 2 and index == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(seed, region, split, index, **arguments)
        generate.generate_tile = deadly
        config = module.Config(name="small", description="For tests.",
                               regions=(0, 2), counts=(4, 2, 2), size=32)
        module.Builder(data_dir=sys.argv[1], config=config).download_and_prepare()
    """
    assert run(script, tmp_path, cwd=tmp_path).returncode == -signal.SIGKILL
    builder = synthetic_landslides.Builder(data_dir=tmp_path, config=SMALL)
    versions = builder.data_path.parent
    lock, leftover = sorted(versions.iterdir())
    assert lock.name == ".lock" and not lock.read_bytes()
    assert leftover.name.startswith("incomplete.")
    assert not builder.data_path.exists()
    # Another version's leftovers are none of this build's business.
    (versions / "incomplete.ABCDEF_0.9.0").mkdir()
    builder.download_and_prepare()
    assert sorted(p.name for p in versions.iterdir()) == [
        ".lock",
        "1.0.0",
        "incomplete.ABCDEF_0.9.0",
    ]
    assert builder.info.splits["train"].num_examples == 8


def test_a_build_keeps_other_writers_out(tmp_path, monkeypatch):
    builder = synthetic_landslides.Builder(data_dir=tmp_path, config=SMALL)
    seen = []

    def watch(split, count):
        try:
            with locked(builder.data_path.parent, "in use"):
                pass
        except RunError:
            seen.append(split)
        return type(builder)._generate_examples(builder, split, count)

    monkeypatch.setattr(builder, "_generate_examples", watch)
    builder.download_and_prepare()
    assert seen == ["train", "validation", "test"]
