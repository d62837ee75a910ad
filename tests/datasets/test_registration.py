"""What `landslide_tf.datasets` offers as a whole."""

import pytest
import tensorflow_datasets as tfds
from absl import logging

from landslide_tf import datasets
from landslide_tf.datasets.cas_landslide.subsets import SUBSETS


def test_configurations_list_the_default_first():
    schemes = ("", "-grouped", "-random", "-released")
    ends = ("", "-random", "-region")
    assert datasets.configurations() == {
        "bijie_landslide": [
            f"{task}{scheme}"
            for task in ("segmentation", "classification")
            for scheme in schemes
        ],
        "cas_landslide": [
            *(f"{group}{end}" for group in ("uav_sat", "uav", "sat") for end in ends),
            *(f"{slug}{end}" for slug in SUBSETS for end in ends[:2]),
        ],
        "isprs_semantic": [
            *(f"vaihingen{end}" for end in ("", "-published", "-eroded")),
            *(f"potsdam{end}" for end in ("", "-published", "-eroded")),
            "potsdam-rgb",
            "potsdam-irrg",
        ],
        "jiuzhaigou": ["binary", "pairs"],
        "mangkam": ["pairs", "patches"],
        "landslide4sense": ["published", "holdout"],
        "landslide_scenes": [
            "rgb",
            "rgb_nir",
            "rgb-float32",
            "rgb_nir-float32",
            "prepared",
        ],
        "mmls": ["clean", "clean-strict", "published"],
        "synthetic_landslides": [
            "default",
            "tiny",
            "visible",
            *(f"visible-region{region}" for region in range(4)),
        ],
        "hokkaido_iburi": ["clean", "all-crops"],
        "mmlsv2": [
            "clean",
            "published",
            "random",
            "clean-unit",
            "published-unit",
            "random-unit",
        ],
        "ecoregion_landslides": ["all", "etf", "mwcf", "nad", "nwfm"],
        "hr_gldd": ["published", "published-bgrn"],
        "gvlm": ["sites"],
    }


def test_every_configuration_can_be_named_to_tfds(tmp_path):
    for name, configs in datasets.configurations().items():
        for config in configs:
            builder = tfds.builder(f"{name}/{config}", data_dir=tmp_path)
            assert builder.builder_config.name == config
            assert builder.builder_config.description


def test_public_names_exist():
    for name in datasets.__all__:
        assert hasattr(datasets, name)


@pytest.fixture
def warnings_logged(caplog):
    """What TFDS logs, also after a command of ours was run in this process."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    yield caplog
    logging.set_verbosity(before)


def test_a_set_that_is_not_built_is_no_broken_one(tmp_path, warnings_logged):
    builder = tfds.builder("synthetic_landslides/tiny", data_dir=tmp_path)
    assert not builder.is_prepared()
    assert warnings_logged.text == ""
    builder.data_path.mkdir(parents=True)
    assert not builder.is_prepared()
    assert "has no dataset_info.json" in warnings_logged.text
