"""`model.json`: what is read is what was written, by this version or the one before."""

import json

import pytest

from landslide_tf.errors import RunError
from landslide_tf.metadata import Band, ModelMetadata

# As version 1 wrote it for images in reflectance that a recipe multiplied.
VERSION_1 = {
    "schema_version": 1,
    "name": "run",
    "builder": "rae_d",
    "arguments": {"width": 0.125, "num_classes": 2},
    "task": "segmentation",
    "inputs": [
        {"name": "red", "unit": "reflectance * 255", "range": [0.0, 255.0]},
        {"name": "green", "unit": "* 0.0001", "range": None},
        {"name": "blue", "unit": "1 * 1e-05", "range": [0.0, 1.0]},
        {"name": "nir", "unit": "digital number", "range": [0.0, 255.0]},
    ],
    "factors": [{"name": "slope", "unit": "degree", "range": [0.0, 90.0]}],
    "terrain": {"derive": "after", "resampling": "cubic", "edges": "compute"},
    "cell_size": [10.0, 10.0],
    "stride": 16,
    "tile": 128,
    "classes": ["background", "landslide"],
    "landslide_class": 1,
    "ignore_value": 255,
    "threshold": 0.4,
    "temperature": None,
    "dataset": "mmls/clean:1.0.0",
    "split": "train",
    "licence": None,
    "metrics": {"validation": {"miou": 0.5}},
    "versions": {"keras": "3.15.1"},
    "command": "landslide-tf train rae_d_mmls",
}


def write(folder, content):
    (folder / "model.json").write_text(json.dumps(content))
    return folder


def test_version_1_gives_the_factor_of_a_band_as_a_number(tmp_path):
    found = ModelMetadata.read(write(tmp_path, VERSION_1))
    assert found.inputs == [
        Band(name="red", unit="reflectance", scale=255, range=(0, 255)),
        Band(name="green", unit="", scale=1e-4),
        Band(name="blue", unit="1", scale=1e-5, range=(0, 1)),
        Band(name="nir", unit="digital number", scale=1, range=(0, 255)),
    ]
    same = ("factors", "terrain", "classes", "threshold", "metrics", "command", "tile")
    stored = json.loads(found.model_dump_json(exclude_unset=True))
    assert {name: stored[name] for name in same} == {n: VERSION_1[n] for n in same}


def test_a_file_that_is_no_text_is_one_line(tmp_path):
    path = tmp_path / "mine.keras"
    path.write_bytes(b"PK\3\4\xa1")
    with pytest.raises(RunError, match=r"is not a valid model\.json: 'utf-8'"):
        ModelMetadata.read(path)


def test_what_is_written_is_read_again_as_it_was(tmp_path):
    found = ModelMetadata.read(write(tmp_path, VERSION_1))
    assert json.loads(found.write(tmp_path).read_text())["schema_version"] == 2
    assert ModelMetadata.read(tmp_path) == found
    # The second version has a unit with a star where somebody gave one that name.
    found.inputs[0].unit = "reflectance * 2"
    found.write(tmp_path)
    assert ModelMetadata.read(tmp_path).inputs[0].unit == "reflectance * 2"


@pytest.mark.parametrize(
    "content",
    [
        [],
        VERSION_1 | {"schema_version": 3},
        VERSION_1 | {"inputs": 3},
        VERSION_1 | {"inputs": ["red"]},
        VERSION_1 | {"landslide_class": 2},
        VERSION_1 | {"inputs": [{"name": "red", "unit": "1 * 0", "range": None}]},
        VERSION_1 | {"inputs": [{"name": "red", "unit": "1", "scale": -1.0}]},
    ],
)
def test_what_is_not_valid_is_refused(tmp_path, content):
    with pytest.raises(RunError, match=r"not a valid model\.json"):
        ModelMetadata.read(write(tmp_path, content))
