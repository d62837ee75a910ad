import pytest

from landslide_tf.errors import RecipeError
from landslide_tf.losses import BoundaryLoss, ReleasedLoss
from landslide_tf.train import load_recipe
from landslide_tf.train.tasks.compilation import make_loss


def made(*changes):
    return make_loss(load_recipe("fstf_net_synthetic", changes))


def test_boundary_losses_by_name():
    loss = made(
        "loss.class_weights=null", "loss.name=boundary", "loss.arguments={floor: 0.25}"
    )
    assert isinstance(loss, BoundaryLoss)
    assert (loss.floor, loss.gain) == (0.25, 1.5)
    loss = made("loss.class_weights=null", "loss.name=released", "loss.formula=focal")
    assert isinstance(loss, ReleasedLoss)
    assert loss.formula == "focal"


@pytest.mark.parametrize(
    "changes", [["loss.name=released"], ["loss.name=focal", "loss.formula=dice"]]
)
def test_formula_goes_with_released_only(changes):
    with pytest.raises(RecipeError, match=r"`loss\.formula` belongs to"):
        made("loss.class_weights=null", *changes)
