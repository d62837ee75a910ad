"""The state on disk: bit-equal, checked, and whole at every moment."""

import json
import shutil

import numpy as np
import pytest

from landslide_tf import files
from landslide_tf.errors import LandslideTFError, RunError
from landslide_tf.models import tsmu, tsmu_state
from tests.models.tsmu_small import call, draw, small


def nudge(model):
    for weight in model.weights:
        weight.assign(weight.numpy() + 0.01)


def test_save_and_load_are_bit_equal(tmp_path):
    net = small("NAD", "ETF", routing="partition", seed=3)
    nudge(net)
    saved = tsmu.save_state(net, tmp_path / "state", done=["0_base"], config={"a": 1})
    assert tsmu.read_state(tmp_path / "state") == saved
    loaded = tsmu.load_state(tmp_path / "state")
    for one, other in zip(net.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.path)
    image = draw(net)
    np.testing.assert_array_equal(
        call(net, image, [1, 0, 1]), call(loaded, image, [1, 0, 1])
    )
    assert tsmu.network(loaded) == tsmu.network(net)
    assert (saved.done, saved.config) == (["0_base"], {"a": 1})


def test_a_removed_region_stays_a_gap(tmp_path):
    net = tsmu.remove_region(small("NAD", "ETF", "NWFM"), "ETF")
    tsmu.save_state(net, tmp_path)
    assert tsmu.regions(tsmu.load_state(tmp_path)) == tsmu.regions(net)


def test_only_the_files_of_the_newest_state_stay(tmp_path):
    net = small("NAD")
    tsmu.save_state(net, tmp_path)
    (trunk,) = tmp_path.glob("trunk.*")
    more = tsmu.add_region(net, "ETF")
    tsmu.save_state(more, tmp_path)
    assert list(tmp_path.glob("trunk.*")) == [trunk]  # it did not change
    assert len(list(tmp_path.glob("decoders/*"))) == 2
    nudge(more)
    tsmu.save_state(more, tmp_path)
    assert not trunk.exists()
    assert len(list(tmp_path.rglob("*.h5"))) == 3


def test_refuses_a_decoder_of_another_step(tmp_path):
    net = small("NAD", "ETF")
    tsmu.save_state(net, tmp_path / "old")
    nudge(net)
    tsmu.save_state(net, tmp_path / "new")
    (old,) = tmp_path.glob("old/decoders/NORTH*")
    (new,) = tmp_path.glob("new/decoders/NORTH*")
    shutil.copy(old, new)
    with pytest.raises(RunError, match="another step"):
        tsmu.load_state(tmp_path / "new")
    # Even where its own checksum was mended: it belongs to another trunk.
    record = json.loads((tmp_path / "new/state.json").read_text())
    former = json.loads((tmp_path / "old/state.json").read_text())
    record["regions"][0] |= {
        key: former["regions"][0][key] for key in ("sha256", "trunk_sha256")
    }
    (tmp_path / "new/state.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match="another trunk"):
        tsmu.load_state(tmp_path / "new")


def test_refuses_missing_and_damaged_files(tmp_path):
    with pytest.raises(RunError, match="cannot be read"):
        tsmu.load_state(tmp_path)
    tsmu.save_state(small("NAD"), tmp_path)
    (trunk,) = tmp_path.glob("trunk.*")
    content = bytearray(trunk.read_bytes())
    content[len(content) // 2] ^= 1
    trunk.write_bytes(content)
    with pytest.raises(RunError, match="damaged"):
        tsmu.load_state(tmp_path)
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(RunError, match="damaged"):
        tsmu.load_state(tmp_path)


@pytest.mark.integration
@pytest.mark.parametrize("moment", range(4))
def test_an_interrupted_save_leaves_the_old_state(tmp_path, monkeypatch, moment):
    net = small("NAD", "ETF")
    tsmu.save_state(net, tmp_path)
    expected = [w.numpy().copy() for w in net.weights]
    nudge(net)
    seen = []
    replace = files.os.replace

    def stop(source, target):
        seen.append(target)
        if len(seen) > moment:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", stop)
    with pytest.raises(LandslideTFError):
        tsmu.save_state(net, tmp_path)
    monkeypatch.undo()
    for one, other in zip(
        expected, tsmu.load_state(tmp_path).get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert not list(tmp_path.rglob(".tmp-*"))
    tsmu.save_state(net, tmp_path)
    assert len(list(tmp_path.rglob(f"*{tsmu_state.SUFFIX}"))) == 3
