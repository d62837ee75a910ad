import pytest

from landslide_tf import models
from landslide_tf.errors import ModelError

NAMES = ["aspp_net", "basic_fcn", "deeplab_v3_plus", "fcn_8s", "fstf_net", "rae_d"]


def test_lists_by_pattern():
    assert set(NAMES) <= set(models.list_models())
    assert models.list_models() == sorted(models.list_models())
    assert models.list_models("*fcn*") == ["basic_fcn", "fcn_8s"]
    assert models.list_models("nothing*") == []


def test_names_are_public():
    assert set(models.list_models()) <= set(models.__all__)


def test_suggests_near_names():
    with pytest.raises(ModelError, match=r"`fstfnet`\. Did you mean `fstf_net`"):
        models.get("fstfnet")
