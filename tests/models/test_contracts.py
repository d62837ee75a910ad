import json
import subprocess
import sys
from typing import ClassVar

import numpy as np
import pytest

from landslide_tf import models
from tests.contracts.segmentation_model import (
    SegmentationModelContract,
    draw_inputs,
)

SMALL = {"backbone": "resnet18", "backbone_layout": "torchvision"}


class FormOfAnother:
    """A network whose export and mixed precision another form of it proves fast."""

    @pytest.mark.slow
    def test_export_serves_any_batch_and_size(self, model, tmp_path):
        super().test_export_serves_any_batch_and_size(model, tmp_path)

    @pytest.mark.slow
    @pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
    def test_mixed_precision(self, policy, logits_model):
        super().test_mixed_precision(policy, logits_model)


class TestFstfNet(SegmentationModelContract):
    builder = "fstf_net"
    arguments: ClassVar = SMALL


class TestFstfNetStack(FormOfAnother, SegmentationModelContract):
    builder = "fstf_net"
    arguments: ClassVar = {"fusion": "stack", **SMALL}


class TestRaeD(SegmentationModelContract):
    builder = "rae_d"
    arguments: ClassVar = {"align_corners": True, **SMALL}


class TestDeeplabV3Plus(SegmentationModelContract):
    builder = "deeplab_v3_plus"
    arguments: ClassVar = {
        "separable": True,
        "separable_aspp": True,
        "decoder_dropout": 0.2,
        **SMALL,
    }


class TestAsppNet(FormOfAnother, SegmentationModelContract):
    """DeepLabv3+ without its decoder."""

    builder = "aspp_net"
    arguments: ClassVar = {
        "backbone_layout": "torchvision",
        "output_stride": 8,
        "aspp_rates": (1, 4),
    }


class TestFcn8s(FormOfAnother, SegmentationModelContract):
    builder = "fcn_8s"


class TestFcn8sAsPublished(SegmentationModelContract):
    builder = "fcn_8s"
    arguments: ClassVar = {"batch_norm": False, "upsampling": "transposed"}


class TestBasicFcn(FormOfAnother, SegmentationModelContract):
    builder = "basic_fcn"


class TestUnet(SegmentationModelContract):
    builder = "unet"
    arguments: ClassVar = {"dropout": 0.5}


class TestUnetOnResnet(FormOfAnother, SegmentationModelContract):
    builder = "unet"
    arguments: ClassVar = {"dropout": 0.1, **SMALL}


@pytest.mark.slow
class TestFstfNetOnEfficientNetLite(SegmentationModelContract):
    builder = "fstf_net"
    arguments: ClassVar = {"backbone": "efficientnet_lite0"}


@pytest.mark.slow
class TestUnetOnEfficientNetLite(SegmentationModelContract):
    builder = "unet"
    arguments: ClassVar = {"backbone": "efficientnet_lite0", "dropout": 0.1}


class TestMffeNet(SegmentationModelContract):
    builder = "mffe_net"
    arguments: ClassVar = {
        "backbone": "resnet18",
        "multi_grid": (1, 2),
    }


class TestAdaNet(FormOfAnother, SegmentationModelContract):
    """MFFENet and a second output: what the first shares with it is proved above."""

    builder = "ada_net"
    arguments: ClassVar = TestMffeNet.arguments


CASES = SegmentationModelContract.__subclasses__()


def test_every_network_keeps_the_contract():
    assert {case.builder for case in CASES} == set(models.list_models())


LOAD = """
import json, sys
import keras
import numpy as np
import landslide_tf

for path in json.loads(sys.argv[1]):
    model = keras.models.load_model(path + ".keras", safe_mode=True)
    data = np.load(path + ".npz")
    inputs = {k: data[k] for k in data.files if k != "expected"}
    found = model(inputs)  # as it was computed where it was saved
    if isinstance(found, dict):
        found = [found[key] for key in sorted(found)]
    difference = np.abs(np.asarray(found) - data["expected"]).max()
    print(path, difference)
    assert difference == 0, path
print("loaded all")
"""


@pytest.mark.integration
def test_saved_models_load_in_a_fresh_process(tmp_path):
    paths = []
    for case in CASES:
        model = case.network()
        inputs = draw_inputs(model, 1, 37, 53)
        paths.append(str(tmp_path / case.__name__))
        model.save(paths[-1] + ".keras")
        expected = model(inputs)
        if isinstance(expected, dict):
            expected = [expected[key] for key in sorted(expected)]
        np.savez(paths[-1] + ".npz", expected=np.asarray(expected), **inputs)
    result = subprocess.run(
        [sys.executable, "-c", LOAD, json.dumps(paths)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert result.stdout.endswith("loaded all\n"), result.stdout + result.stderr
