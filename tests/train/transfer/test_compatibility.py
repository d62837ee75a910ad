"""A trained network meets another data set: ranges, classes, channels."""

import dataclasses

import pytest

from landslide_tf.errors import DataError
from landslide_tf.metadata import Band, Factor, ModelMetadata
from landslide_tf.pipelines import Channel, DataDescription
from landslide_tf.train import load_recipe
from landslide_tf.train.transfer.compatibility import (
    check_classes,
    image_scale_for,
    recipe_for,
    shared_classes,
)

CLASSES = ("background", "landslide")
COVER = ("landslide", "water", "bare")


def description(largest, *, names=("red", "green", "blue"), **changes):
    channels = {
        name: Channel(name, "image", k, range=(0.0, limit))
        for k, (name, limit) in enumerate(zip(names, largest, strict=True))
    }
    channels["slope"] = Channel("slope", "factors", 0, changes.pop("unit", "degree"))
    given = {"name": "other", "split": "train", "classes": CLASSES}
    return DataDescription(channels=channels, landslide_class=1, **{**given, **changes})


@pytest.fixture
def recipe():
    return load_recipe("rae_d_bijie")


@pytest.fixture
def metadata():
    bands = [Band(name=n, range=(0, 255)) for n in ("red", "green", "blue")]
    return ModelMetadata(
        name="a", builder="rae_d", arguments={}, inputs=bands,
        factors=[Factor(name="slope", unit="degree")], classes=list(CLASSES),
        landslide_class=1, dataset="own:1.0.0",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("largest", "scale"),
    [
        ((1, 1, 1), 255),
        ((0.81, 0.91, 1.0), 255),  # the largest values that occur
        ((255, 255, 255), 1),
        ((200, 250, 255), 1),
        ((10_000, 10_000, 10_000), 0.0255),
    ],
)
def test_the_full_range_becomes_that_of_the_model(recipe, metadata, largest, scale):
    changed = recipe_for(recipe, metadata, description(largest))
    assert changed.data.image_scale == pytest.approx(scale)
    assert recipe.data.image_scale == 1


def test_the_own_data_set_and_unknown_ranges_keep_the_scale(recipe, metadata):
    assert recipe_for(recipe, metadata, description((1, 1, 1), name="own")) is recipe
    for band in metadata.inputs:
        band.range = None
    assert recipe_for(recipe, metadata, description((1, 1, 1))) is recipe


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ("red", "green", "nir")}, "no band or factor `blue`"),
        ({"unit": "percent"}, "`slope` in `percent`, expected the model's `degree`"),
    ],
)
def test_what_does_not_fit_is_refused(recipe, metadata, changes, message):
    with pytest.raises(DataError, match=message):
        recipe_for(recipe, metadata, description((255, 255, 255), **changes))


@pytest.mark.parametrize(
    ("model", "data", "names", "of_model", "of_data"),
    [
        # Names and the landslide's index of each; then what values become.
        ((COVER, 0), (CLASSES, 1), CLASSES, [1, 0, 0], [0, 1]),
        ((CLASSES, 1), (COVER, 0), CLASSES, [0, 1], [1, 0, 0]),
        ((CLASSES, 1), (CLASSES[::-1], 0), CLASSES, [0, 1], [1, 0]),
        ((COVER, 0), (COVER, 0), COVER, [0, 1, 2], [0, 1, 2]),
    ],
)
def test_land_cover_and_landslides_have_two_classes_in_common(
    metadata, model, data, names, of_model, of_data
):
    metadata.classes, metadata.landslide_class = list(model[0]), model[1]
    other = dataclasses.replace(
        description((255, 255, 255), classes=data[0]), landslide_class=data[1]
    )
    shared = shared_classes(metadata, other)
    assert shared.names == names and shared.names[shared.landslide] == "landslide"
    assert shared.of_model[: len(of_model)].tolist() == of_model
    assert shared.of_data[: len(of_data)].tolist() == of_data
    assert shared.of_data[255] == 255
    assert shared.merged == (of_model == [1, 0, 0] or of_data[0] == 1)
    if model[0] != data[0]:
        with pytest.raises(DataError, match="has the classes"):
            check_classes(metadata, other)


@pytest.mark.parametrize("model", [CLASSES, COVER])
def test_scores_have_the_names_of_the_labels(metadata, model):
    metadata.classes = list(model)
    metadata.landslide_class = model.index("landslide")
    other = description((255, 255, 255), landslide_name="cleared")
    assert shared_classes(metadata, other).names == ("background", "cleared")


def test_two_kinds_of_land_cover_are_refused(metadata):
    metadata.classes, metadata.landslide_class = list(COVER), 0
    other = description((255, 255, 255), classes=("a", "landslide", "c"))
    with pytest.raises(DataError, match="has the classes"):
        shared_classes(metadata, other)


def test_the_scale_for_a_set_that_is_not_built(recipe):
    assert image_scale_for(recipe, "mmls/clean") == 255
    assert image_scale_for(recipe, "cas_landslide/uav") == 1
    assert image_scale_for(load_recipe("rae_d_mmls"), "bijie_landslide") == 1
    with pytest.raises(DataError, match="no data set"):
        image_scale_for(recipe, "mmlz")
