"""Run folders that are not whole, not ours, or of another backend."""

import json

import keras
import pytest

from landslide_tf.errors import RunError
from landslide_tf.train import RunFolder, load_recipe
from landslide_tf.train.run.folder import load_network, require_unused


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.begin(load_recipe("rae_d_synthetic"))
    return folder


def test_a_begun_run_says_what_it_trains_and_on_what(run):
    assert run.read_recipe() == load_recipe("rae_d_synthetic")
    found = json.loads(run.environment.read_text())
    assert found["backend"] == keras.backend.backend()
    assert {"python", "keras", "numpy"} <= found["versions"].keys()
    run.check_resumable()


def test_rows_of_metrics_may_differ_in_their_columns(run):
    run.write_metrics([{"epoch": 0, "loss": 1.5}, {"epoch": 1, "val": "a,b"}])
    lines = run.metrics.read_text().splitlines()
    assert lines == ["epoch,loss,val", "0,1.5,", '1,,"a,b"']


def test_an_imported_run_cannot_be_resumed(run):
    run.model.write_bytes(b"")
    with pytest.raises(RunError, match="imported and has no checkpoints"):
        run.check_resumable()
    run.checkpoints.mkdir()
    run.check_resumable()


def test_another_backend_is_refused_and_an_unwritten_one_is_not(run):
    for text in ("", "{", "[]", "{}"):
        run.environment.write_text(text)
        run.check_resumable()
    run.environment.write_text('{"backend": "jax"}')
    with pytest.raises(RunError, match=r"trained on Keras's `jax` backend"):
        run.check_resumable()


def test_a_network_that_is_missing_or_damaged_is_one_line(run, tmp_path):
    with pytest.raises(RunError, match="training has not ended"):
        run.load_model()
    for name, content in (("a.keras", b"no archive"), ("b.keras", b"")):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(RunError, match=f"{name}` cannot be loaded") as caught:
            load_network(path)
        assert "\n" not in str(caught.value)


def test_only_a_folder_that_nobody_uses_is_taken(tmp_path):
    require_unused(tmp_path / "new")
    require_unused(tmp_path)
    (tmp_path / ".tmp-left").mkdir()
    (tmp_path / "file").write_text("mine")
    for used in (tmp_path, tmp_path / "file"):
        with pytest.raises(RunError, match="another `--out`, or think"):
            require_unused(used, ", or think")
    assert (tmp_path / "file").read_text() == "mine"
