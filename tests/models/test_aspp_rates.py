import pytest

from landslide_tf.errors import ModelError
from landslide_tf.models import aspp_net


@pytest.mark.parametrize(
    "rates", [(), (0, 6), (6, 6), (1, 2)], ids=["none", "zero", "equal", "too small"]
)
def test_aspp_rates_are_different_dilations(rates):
    with pytest.raises(ModelError, match="aspp_rates"):
        aspp_net(aspp_rates=rates, output_stride=32, width=0.125)


def test_aspp_rates_follow_the_output_stride():
    model = aspp_net(aspp_rates=(2, 5), output_stride=8, width=0.125)
    dilations = {
        layer.dilation_rate
        for layer in model.layers
        if layer.name.startswith("aspp_r") and layer.name.endswith("_conv")
    }
    assert dilations == {(4, 4), (10, 10)}
