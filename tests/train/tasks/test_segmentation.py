"""What recipes can ask of training beyond its plain form."""

import csv
import json

import keras
import numpy as np
import pytest

from landslide_tf.errors import RecipeError
from landslide_tf.metrics import apply_temperature
from landslide_tf.models.prediction import prediction_function
from landslide_tf.pipelines import class_shares, load
from landslide_tf.train import Session, evaluate_run, load_recipe, train
from landslide_tf.train.run.checkpoint import load_newest
from landslide_tf.train.run.recorder import NoLandslideWarning
from tests.train.conftest import RECIPE

# In this process TensorFlow has started: its threads and determinism are set.
HERE = ["training.threads=null", "training.deterministic=false", "training.epochs=2"]


@pytest.fixture
def run(tmp_path, tiny_data):
    path = tmp_path / "small.yaml"
    path.write_text(RECIPE)

    def run_with(*changes):
        recipe = load_recipe(path, [*HERE, *changes])
        return train(recipe, tmp_path / "run", Session(tiny_data, verbose=0))

    yield run_with
    keras.config.set_dtype_policy("float32")


def rows(run):
    with run.metrics.open() as stream:
        return list(csv.DictReader(stream))


@pytest.mark.integration
def test_rare_class_options_are_resolved_fitted_and_used(run, tiny_data):
    done = run(
        "loss.name=focal",
        "loss.class_weights=median_frequency",
        "model.prior_bias=true",
        "decision={threshold: true, temperature: true}",
    )
    weights = done.read_recipe().loss.class_weights
    shares = class_shares(
        load("synthetic_landslides/tiny:train[:24]", data_dir=tiny_data)
    )
    present = shares[shares > 0]
    np.testing.assert_allclose(weights, np.median(present) / shares)
    metadata = done.read_metadata()
    assert 0 <= metadata.threshold <= 1 and metadata.temperature > 0
    scores = metadata.metrics["validation"]
    assert 0 <= scores["ece_after"] <= 1 and 0 <= scores["ece_before"] <= 1
    found = evaluate_run(
        done,
        data="synthetic_landslides/tiny:validation[:8]",
        session=Session(tiny_data),
    )
    # The F1 that chose the threshold is the F1 that the evaluation finds.
    f1 = found.scores.of_class(0)["f1"]
    assert f1 == pytest.approx(scores["threshold_f1"], abs=1e-6)
    # The calibrated network still predicts probabilities.
    predict = prediction_function(done.load_model())
    given = predict({"image": np.zeros((1, 16, 16, 3))})
    calibrated = apply_temperature(given, metadata.temperature)
    np.testing.assert_allclose(calibrated.sum(-1), 1, rtol=1e-5)


@pytest.mark.integration
def test_averages_are_validated_and_kept_while_training_goes_on(run, tiny_data):
    done = run("optimizer.ema=0.5")
    best = load_newest(done.checkpoints, "best")
    state = load_newest(done.checkpoints, "state")
    kernels = [
        key
        for key, (path, _) in state.meta["variables"].items()
        if key.startswith("model/") and path.endswith("kernel")
    ]
    assert state.meta["best_epoch"] == best.meta["epoch"]
    if best.meta["epoch"] == 1:
        moved = [np.abs(best.arrays[k] - state.arrays[k]).max() for k in kernels]
        assert min(moved) > 0
    found = evaluate_run(
        done,
        data="synthetic_landslides/tiny:validation[:8]",
        session=Session(tiny_data),
    )
    assert found.landslide_iou == pytest.approx(best.meta["value"], abs=1e-6)


@pytest.mark.integration
def test_frozen_layers_keep_their_weights_and_statistics(run):
    keras.utils.set_random_seed(0)
    done = run(
        "optimizer.accumulation=2",
        "training.steps_per_execution=3",
        "schedule.warmup_steps=3",
        "loss={name: tversky, arguments: {alpha: 0.4, beta: 0.6}}",
        "model.freeze=['enc1_*', 'enc2_*']",
    )
    state = load_newest(done.checkpoints, "state")
    statistics = {
        path: state.arrays[key]
        for key, (path, _) in state.meta["variables"].items()
        if "moving_" in path
    }
    frozen = [p for p in statistics if p.startswith(("enc1_", "enc2_"))]
    assert len(frozen) >= 4
    for path, value in statistics.items():
        fresh = 1.0 if path.endswith("variance") else 0.0
        assert (np.abs(value - fresh).max() == 0) == (path in frozen), path


@pytest.mark.slow
@pytest.mark.parametrize(
    "precision",
    # A CPU emulates float16, slowly.
    [pytest.param("mixed_float16", marks=pytest.mark.slow), "mixed_bfloat16"],
)
def test_a_mixed_run_ends_as_a_float32_model(run, precision):
    done = run(f"training.precision={precision}")
    assert keras.config.dtype_policy().name == "float32"
    assert json.loads(done.environment.read_text())["precision"] == precision
    assert all(np.isfinite(float(row["loss"])) for row in rows(done))
    assert ("skipped_steps" in rows(done)[0]) == (precision == "mixed_float16")
    model = done.load_model()
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["loss.arguments={gamma: 2}"], "no argument `gamma`"),
        (["model.freeze=['encoder*']"], r"`encoder\*` fits no layer"),
        (["model.name=fcn_8s", "model.prior_bias=true"], "`fcn_8s` has not"),
        (["training.steps_per_execution=4"], "must divide the 6 steps"),
        (
            ["training.steps_per_execution=2", "training.save_steps=3"],
            "multiple of `training.steps_per_execution`",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(run, changes, message):
    with pytest.raises(RecipeError, match=message):
        run(*changes)


@pytest.mark.integration
def test_a_model_that_finds_no_landslide_is_warned_of(run):
    with pytest.warns(NoLandslideWarning, match="predicts no landslide"):
        run(
            "model.prior_bias=true",
            "optimizer.learning_rate=1e-12",
            "training.epochs=1",
        )
