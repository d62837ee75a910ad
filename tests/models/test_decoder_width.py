"""The decoder's width apart from the encoder's."""

import pytest

from landslide_tf import models
from landslide_tf.errors import ModelError
from landslide_tf.models.layer_groups import layers_of

SMALL = {"backbone": "resnet18", "backbone_layout": "torchvision"}
NETWORKS = {
    "plain": ("unet", {}),
    "unet": ("unet", SMALL),
    "lite": ("unet", {"backbone": "efficientnet_lite0"}),
    "rae_d": ("rae_d", SMALL),
    "fstf_net": ("fstf_net", {"fusion": "sum", **SMALL}),
    "deeplab": ("deeplab_v3_plus", SMALL),
    "aspp": ("aspp_net", SMALL),
    "mffe_net": ("mffe_net", {**SMALL, "multi_grid": None}),
    "ada_net": ("ada_net", {**SMALL, "multi_grid": None}),
}


def channels(model):
    """Channels that each convolution gives, by name."""
    found = {}
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is not None:
            found[layer.name] = layer.output.shape[-1]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arguments"), NETWORKS.values(), ids=NETWORKS)
def test_the_encoder_has_its_own_width(name, arguments):
    build = models.get(name)
    narrow = build(2, width=0.125, **arguments)
    wide = build(2, width=0.25, **arguments)
    both = build(2, width=0.25, decoder_width=0.125, **arguments)
    same = build(2, width=0.25, decoder_width=0.25, **arguments)
    shapes = [[weight.shape for weight in model.weights] for model in (wide, same)]
    assert shapes[0] == shapes[1]
    encoder = {layer.name for layer in layers_of(both, "encoder")}
    of_both, of_narrow, of_wide = map(channels, (both, narrow, wide))
    assert encoder & set(of_both) and set(of_both) - encoder
    for layer, count in of_both.items():
        expected = of_wide if layer in encoder else of_narrow
        assert count == expected[layer], layer
    assert of_both != of_wide and of_both != of_narrow


@pytest.mark.parametrize("width", [0, -1, True, "half"])
@pytest.mark.parametrize("name", ["unet", "rae_d"])
def test_a_width_that_is_none_is_refused(name, width):
    with pytest.raises(ModelError, match="`decoder_width` must be a number above 0"):
        models.get(name)(2, decoder_width=width, width=0.125)
