"""What every data set builder must satisfy, on dummy data made by a script."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import tensorflow_datasets as tfds

from landslide_tf.metadata import Band, Factor

METADATA_KEYS = {
    "bands",
    "factors",
    "classes",
    "landslide_class",
    "ignore_value",
    "licence",
    "gsd",
}


class DatasetBuilderContract(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own contract and this package's.

    A subclass names `DATASET_CLASS`, `SPLITS`, `CONFIG` (a name, or a small
    configuration of its own) and, for a data set that users bring, overrides
    `write_dummy_data`. `IMAGES` names the features that `bands` describes, two for
    a pair of dates, and `TARGET` what is learned: `mask`, or `label` of whole images.
    Import the module and not this class: pytest would collect it.
    """

    CONFIG: str | tfds.core.BuilderConfig
    IMAGES: tuple[str, ...] = ("image",)
    TARGET: str = "mask"

    @classmethod
    def write_dummy_data(cls, folder: Path) -> None:
        """Writes what the user brings; the default is a set that needs nothing."""

    @classmethod
    def setUpClass(cls):
        cls.BUILDER_CONFIG_NAMES_TO_TEST = [cls.CONFIG]
        cls._examples = {}
        cls._folder = tempfile.TemporaryDirectory()
        cls.EXAMPLE_DIR = str(Path(cls._folder.name, "manual"))
        Path(cls.EXAMPLE_DIR).mkdir()
        cls.write_dummy_data(Path(cls.EXAMPLE_DIR))
        super().setUpClass()
        cls.built = cls.DATASET_CLASS(
            data_dir=str(Path(cls._folder.name, "data")), config=cls.CONFIG
        )
        cls.built.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=cls.EXAMPLE_DIR)
        )

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls._folder.cleanup()

    def examples(self, split):
        """Examples of a split, read once for all tests; not to be changed."""
        if split not in self._examples:
            data = tfds.as_numpy(self.built.as_dataset(split=split))
            self._examples[split] = list(data)
        return self._examples[split]

    def test_documentation_is_found(self):
        # With an editable install TFDS looks in the wrong folder by itself.
        info = self.built.info
        self.assertGreater(len(info.description), 500)
        self.assertStartsWith(info.citation, "@")
        self.assertIn("ml.task.semantic-segmentation", self.built.get_metadata().tags)

    def test_metadata_describes_the_features(self):
        features = self.built.info.features
        metadata = self.built.info.metadata
        self.assertContainsSubset(METADATA_KEYS, set(metadata))
        for image in self.IMAGES:
            self.assertLen(metadata["bands"], features[image].shape[-1])
        factors = features["factors"].shape[-1] if "factors" in features else 0
        self.assertLen(metadata["factors"], factors)
        for band in metadata["bands"]:
            Band(**{k: v for k, v in band.items() if k != "nodata"})
        for factor in metadata["factors"]:
            Factor(**{k: v for k, v in factor.items() if k != "nodata"})
        self.assertEqual(metadata["classes"], features[self.TARGET].names)
        self.assertEqual(metadata["classes"][metadata["landslide_class"]], "landslide")
        self.assertEqual(metadata["ignore_value"], 255)

    def test_metadata_survives_reloading(self):
        wanted = dict(self.built.info.metadata)
        again = self.DATASET_CLASS(
            data_dir=self.built.data_dir_root, config=self.CONFIG
        )
        from_folder = tfds.builder_from_directory(self.built.data_dir)
        for builder in (again, from_folder):
            self.assertEqual(dict(builder.info.metadata), wanted)
            names = builder.info.features[self.TARGET].names
            self.assertEqual(names, wanted["classes"])

    def test_masks_fit_images_and_hold_known_classes(self):
        known = [*range(len(self.built.info.metadata["classes"])), 255]
        for split in self.SPLITS:
            for example in self.examples(split):
                if self.TARGET == "label":
                    self.assertIn(example["label"], known[:-1])
                    continue
                mask = example["mask"]
                self.assertEqual(mask.dtype, np.uint8)
                for image in self.IMAGES:
                    self.assertEqual(mask.shape, (*example[image].shape[:2], 1))
                self.assertEmpty(np.setdiff1d(mask, known))

    def test_values_lie_in_the_declared_ranges(self):
        metadata = self.built.info.metadata
        for split in self.SPLITS:
            for example in self.examples(split):
                for feature in (*self.IMAGES, "factors"):
                    described = metadata["bands" if feature in self.IMAGES else feature]
                    for k, channel in enumerate(described):
                        low, high = channel["range"]
                        values = example[feature][..., k]
                        level = channel["name"] == "aspect"  # -1 = level ground
                        special = [channel.get("nodata", -1.0 if level else np.nan)]
                        values = values[~np.isin(values, special) & ~np.isnan(values)]
                        self.assertTrue((values >= low - 1e-4).all(), channel)
                        self.assertTrue((values <= high + 1e-4).all(), channel)

    def test_ids_are_unique_over_all_splits(self):
        ids = [e["id"] for split in self.SPLITS for e in self.examples(split)]
        self.assertLen(set(ids), sum(self.SPLITS.values()))

    def test_a_second_build_is_equal_byte_by_byte(self):
        with tempfile.TemporaryDirectory() as folder:
            other = self.DATASET_CLASS(data_dir=folder, config=self.CONFIG)
            other.download_and_prepare(
                download_config=tfds.download.DownloadConfig(
                    manual_dir=self.EXAMPLE_DIR
                )
            )
            for path in sorted(Path(self.built.data_dir).glob("*.tfrecord*")):
                twin = Path(other.data_dir, path.name)
                self.assertEqual(path.read_bytes(), twin.read_bytes(), path.name)

    def test_a_failed_build_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            builder = self.DATASET_CLASS(data_dir=folder, config=self.CONFIG)
            with (
                mock.patch.object(
                    builder, "_generate_examples", side_effect=RuntimeError("stopped")
                ),
                self.assertRaisesRegex(RuntimeError, "stopped"),
            ):
                builder.download_and_prepare(
                    download_config=tfds.download.DownloadConfig(
                        manual_dir=self.EXAMPLE_DIR
                    )
                )
            left = [path.name for path in builder.data_path.parent.iterdir()]
            self.assertEqual(left, [".lock"])
