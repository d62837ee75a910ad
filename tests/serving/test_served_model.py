"""Loading an export: by folder, without Keras, and refusing what does not fit."""

import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from landslide_tf import serving
from landslide_tf.errors import ModelError, RunError


@pytest.fixture(scope="module")
def served(exported):
    return serving.load(exported)


def arrays(**changes):
    inputs = {"image": np.ones((1, 6, 7, 3)), "factors": np.ones((1, 6, 7, 2))}
    return inputs | changes


def test_knows_its_folder_metadata_and_inputs(served, exported, metadata):
    assert served.folder == exported / "1"
    assert served.metadata == metadata
    assert served.input_shapes == {
        "factors": (None, None, None, 2),
        "image": (None, None, None, 3),
    }


def test_takes_any_number_type(served):
    as_float = served(arrays())["probabilities"]
    as_bytes = served(arrays(image=np.ones((1, 6, 7, 3), "uint8")))["probabilities"]
    np.testing.assert_array_equal(as_float, as_bytes)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"image": np.ones((1, 6, 7, 3))}, "takes .*`factors`, `image`.* received `im"),
        (arrays(slope=np.ones(1)), "received .*`slope`: pass exactly those"),
        ({}, "received none"),
        (
            arrays(image=np.ones((1, 6, 7, 4))),
            r"`image` must be \(batch, height, width, 3\) .* received 1 x 6 x 7 x 4",
        ),
        (arrays(factors=np.ones((6, 7, 2))), "received 6 x 7 x 2"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(served, inputs, message):
    with pytest.raises(ModelError, match=message) as caught:
        served(inputs)
    assert "\n" not in str(caught.value)


def test_the_newest_version_is_the_largest_number(exported, tmp_path):
    for name in ("2", "10", "007", "x", ".tmp-1"):
        shutil.copytree(exported / "1", tmp_path / name)
    (tmp_path / "11").mkdir()  # not a SavedModel
    assert serving.load(tmp_path).folder == tmp_path / "10"
    assert serving.load(str(tmp_path / "x")).folder == tmp_path / "x"


@pytest.mark.parametrize("name", ["missing", "empty", "file"])
def test_a_folder_without_a_model_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="must be an export's folder or hold"):
        serving.load(tmp_path / name)


def test_an_address_is_refused_as_what_it_is():
    with pytest.raises(RunError, match="`gs://bucket/model` is of another file system"):
        serving.load("gs://bucket/model")


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("file", "harm"),
    [
        ("saved_model.pb", cut),
        ("variables/variables.data-00000-of-00001", cut),
        ("variables/variables.data-00000-of-00001", flip),
        ("variables/variables.index", cut),
        ("assets.extra/model.json", cut),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_harmed_export_is_refused_in_one_line(exported, tmp_path, file, harm):
    shutil.copytree(exported, tmp_path / "toy")
    harm(tmp_path / "toy" / "1" / file)
    with pytest.raises(RunError, match=r"not a whole SavedModel|not a valid") as caught:
        serving.load(tmp_path / "toy")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "toy" / "1") in str(caught.value)


def test_a_foreign_saved_model_lacks_metadata(exported, tmp_path):
    shutil.copytree(exported / "1", tmp_path / "1")
    shutil.rmtree(tmp_path / "1" / "assets.extra")
    with pytest.raises(RunError, match=r"as if `model\.export` .*serving\.export"):
        serving.load(tmp_path)


@pytest.mark.integration
def test_loads_and_runs_without_keras(exported):
    code = """
    import sys
    sys.modules["keras"] = None  # as if it were not installed
    import numpy as np
    from landslide_tf import serving
    assert "tensorflow" not in sys.modules
    model = serving.load(sys.argv[1])
    y = model({"image": np.ones((1, 6, 7, 3)), "factors": np.ones((1, 6, 7, 2))})
    print(y["probabilities"].shape)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(exported)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "(1, 6, 7, 3)"
