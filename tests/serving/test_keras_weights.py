"""The export format `weights`: files from which Keras builds the network again."""

import numpy as np
import pytest

from landslide_tf import models, serving
from landslide_tf.errors import ModelError, RunError
from landslide_tf.metadata import Band, ModelMetadata
from landslide_tf.serving.served_model import read_metadata

ARGUMENTS = {"num_classes": 2, "width": 0.0625, "input_shape": (None, None, 3)}


@pytest.fixture(scope="module")
def model():
    return models.unet(**ARGUMENTS)


@pytest.fixture(scope="module")
def metadata():
    return ModelMetadata(
        name="small",
        builder="unet",
        arguments={**ARGUMENTS, "input_shape": [None, None, 3]},
        inputs=[Band(name=name, range=(0, 255)) for name in ("red", "green", "blue")],
        classes=["background", "landslide"],
        landslide_class=1,
        licence="MIT",
        threshold=0.4,
    )


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_network_is_built_from_the_files(model, metadata, tmp_path, precision):
    folder = serving.export(
        model, tmp_path / "a", metadata=metadata, format="weights", precision=precision
    )
    assert folder == tmp_path / "a" / "1"
    names = {path.name for path in folder.iterdir()}
    described = {"model.json", "README.md", "model.stac.json"}
    assert names == {"model.weights.h5", *described}
    assert read_metadata(tmp_path / "a") == metadata == ModelMetadata.read(folder)
    built = models.build_described(metadata, folder / "model.weights.h5")
    for mine, yours in zip(model.get_weights(), built.get_weights(), strict=True):
        np.testing.assert_array_equal(mine.astype(precision).astype("f4"), yours)
    card = (folder / "README.md").read_text()
    assert "| licence | MIT |" in card and "build_described" in card
    assert "serving_default" not in card and "at least 0.4" in card


def test_they_are_not_served(model, metadata, tmp_path):
    serving.export(model, tmp_path / "a", metadata=metadata, format="weights")
    with pytest.raises(RunError, match="run by Keras and not served"):
        serving.load(tmp_path / "a")


def test_what_does_not_fit_is_refused(model, metadata, tmp_path):
    out = tmp_path / "a"
    with pytest.raises(ModelError, match="float32 or float16"):
        serving.export(
            model, out, metadata=metadata, format="weights", precision="bfloat16"
        )
    other = metadata.model_copy(update={"builder": "Functional"})
    with pytest.raises(ModelError, match="received `Functional`"):
        serving.export(model, out, metadata=other, format="weights")
    wider = {**metadata.arguments, "width": 0.125}
    other = metadata.model_copy(update={"arguments": wider})
    with pytest.raises(ModelError, match="must fit"):
        serving.export(model, out, metadata=other, format="weights")
    assert not out.exists() or not any(out.iterdir())
