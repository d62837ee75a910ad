"""The model card says what model.json says, and what it does not."""

import pytest
import yaml

from landslide_tf.metadata import Factor
from landslide_tf.serving.assets import write_assets
from landslide_tf.serving.network import Network
from landslide_tf.serving.signatures import chosen

from .conftest import toy_metadata, toy_model


def card(tmp_path, model=None, **changes):
    network = Network(model or toy_model(), toy_metadata(**changes))
    write_assets(network, chosen(network, None), tmp_path, None)
    path = tmp_path / "README.md"
    return path.read_text()


def test_the_card_of_an_export(exported, model):
    text = (exported / "1" / "assets.extra" / "README.md").read_text()
    for expected in (
        "# toy\n",
        f"{model.count_params():,} parameters",
        "| 0 | slope | degree | 0 to 90 |",
        "| 2 | b | digital number | 0 to 255 |",
        "derive after, resampling cubic, edges compute",
        "cells of 0.5 to 2 m",
        "(0 other, 1 bare, 2 landslide); landslide is 2",
        "Decision: the most probable class.",
        '({"image": image, "factors": factors})',
        "| data set | synthetic_landslides/tiny |",
        "| licence | not stated |",
        "| test / iou | 0.5312 |",
        "| test / f1 / landslide | 0.7 |",
    ):
        assert expected in text


def test_decisions_by_threshold(tmp_path):
    rule = "landslide where its probability is at least "
    assert rule + "0.3." in card(tmp_path, threshold=0.3)
    assert rule + "0.5." in card(
        tmp_path,
        toy_model(classes=1),
        classes=["landslide"],
        landslide_class="sigmoid",
    )


def test_a_model_without_factors_or_metrics_says_nothing_of_them(tmp_path):
    model = toy_model(with_factors=False)
    text = card(tmp_path, model, factors=[], terrain=None, metrics={})
    assert "factors" not in text
    assert "Measured" not in text
    assert '({"image": image})' in text


def test_the_card_names_the_branches_of_factors(tmp_path):
    factors = [Factor(name=n, branch=b) for n, b in (("slope", "a"), ("ndvi", "b"))]
    assert "(a: slope; b: ndvi)" in card(tmp_path, factors=factors)
    assert "branches of their own" not in card(tmp_path)


@pytest.mark.parametrize(
    ("stated", "known"),
    [
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("CC BY-NC 4.0; terms of each provider", {"license": "cc-by-nc-4.0"}),
        ("own: terms", {"license": "other", "license_name": "own: terms"}),
        (None, {"license": "other", "license_name": "not stated"}),
    ],
)
def test_the_front_matter_is_what_a_hub_reads(tmp_path, stated, known):
    _, front, _ = card(tmp_path, licence=stated).split("---\n", 2)
    assert yaml.safe_load(front) == {
        **known,
        "library_name": "tensorflow",
        "pipeline_tag": "image-segmentation",
        "tags": ["landslide", "remote-sensing", toy_metadata().builder],
    }


def test_limits_are_those_of_the_training(tmp_path):
    limits = card(tmp_path, threshold=0.3).split("## Limits")[1].split("## ")[0]
    for said in ("synthetic_landslides/tiny", "0.5 to 2 m", "validation"):
        assert said in limits
