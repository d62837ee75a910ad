"""`landslide-tf adapt`."""

import keras
import numpy as np
import pytest

from landslide_tf.train import RunFolder, Session, adapt_recipe, load_recipe, train
from landslide_tf.train.run.checkpoint import load_newest
from tests.train.short_runs import FEW, SMALL, options

DATA = "synthetic_landslides/tiny"

pytestmark = pytest.mark.filterwarnings("ignore:Epoch 1 predicts no landslide")


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_data):
    folder = tmp_path_factory.mktemp("runs") / "small"
    return train(load_recipe("rae_d_synthetic", SMALL), folder, Session(tiny_data))


@pytest.mark.integration
def test_a_run_adapts_and_stays_the_same_kind_of_run(command, run, tiny_data, tmp_path):
    out = tmp_path / "adapted"
    code, text, err = command(
        *("adapt", run.path, "--target", f"{DATA}:validation[:6]", "--out", out),
        *("--recipe", "ada_net_visible", "--aux-layer", "fc7_dropout"),
        *("--data-dir", tiny_data, *options(FEW)),
    )
    assert code == 0, err
    assert f"next: landslide-tf evaluate {out} --data {DATA}:test" in text
    done = RunFolder(out)
    before, after = run.load_model(), done.load_model()
    assert [w.shape for w in before.get_weights()] == [
        w.shape for w in after.get_weights()
    ]
    assert after.output_names == ["probabilities"]
    metadata = done.read_metadata()
    assert metadata.builder == "basic_fcn"
    assert metadata.arguments == run.read_metadata().arguments
    assert metadata.metrics["adaptation"] == {
        "target": f"{DATA}:validation[:6]",
        "select": "last",
        "oracle": False,
    }
    assert "target_landslide_iou" not in metadata.metrics["validation"]
    recipe = done.read_recipe()
    assert recipe.data == run.read_recipe().data
    assert recipe.model.start == str(run.path)
    # The kept weights are those of the last step, without the second classifier.
    best = load_newest(done.checkpoints, "best")
    table = best.meta["variables"]
    assert any("aux_conv" in path for path, _ in table.values())
    kernels = [k for k, (path, _) in table.items() if path == "score_fr/kernel"]
    np.testing.assert_array_equal(
        best.arrays[kernels[0]],
        keras.ops.convert_to_numpy(after.get_layer("score_fr").kernel),
    )
    code, text, err = command(
        *("evaluate", out, "--data", f"{DATA}:test[:4]", "--data-dir", tiny_data)
    )
    assert code == 0, err


def test_methods_fit_the_network_they_are_for(run):
    recipe = adapt_recipe(run, "other:unlabelled", recipe="ada_net")
    assert recipe.adaptation.aux_layer is None  # `aspp_dropout` is MFFENet's
    assert recipe.adaptation.target == "other:unlabelled"
    assert recipe.training.patch == 32 and recipe.training.epochs == 15
    assert recipe.optimizer.head_multiplier == 10
    assert (recipe.adaptation.weight, recipe.adaptation.aux_weight) == (0.01, 0.002)
    recipe = adapt_recipe(run, "other", recipe="adaptsegnet")
    section = recipe.adaptation
    assert (section.weight, section.aux_weight) == (0.001, 0.0002)
    assert (section.label_noise, section.freeze_affine) == (0, True)
    assert recipe.loss.name == "cross_entropy"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--target", "mmls/cleen"), "`clean`"),
        (("--target", ":test"), "name[/config][:split]"),
        (("--target", DATA, "--recipe", "rae_d_mmls"), "no section `adaptation`"),
        (("--target", DATA, "--recipe", "ada_nett"), "`ada_net`"),
        (("--target", DATA, "--aux-layer", "logit_conv"), "no layer `logit_conv`"),
        (
            ("--target", DATA, "--set=adaptation.select=target_iou"),
            "`adaptation.oracle: true`",
        ),
        (("--target", DATA, "--set=adaptation.weigth=1"), "`weight`"),
    ],
)
def test_what_does_not_fit_is_one_line(
    command, run, tiny_data, tmp_path, arguments, message
):
    out = tmp_path / "out"
    folders = ("--out", out, "--data-dir", tiny_data, "--manual-dir", tmp_path)
    command.refuses(
        *("adapt", run.path, *arguments, *folders),
        "--set=training.deterministic=false",
        message=message,
    )
    assert not out.exists()


def test_a_run_that_has_not_ended_is_none(command, tmp_path):
    command.refuses("adapt", tmp_path, "--target", DATA, message=str(tmp_path))
