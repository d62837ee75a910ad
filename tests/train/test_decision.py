"""Temperature and threshold of networks whose best ones are known."""

import keras
import numpy as np
import pytest

from landslide_tf.pipelines import (
    Channel,
    DataDescription,
    EvaluationBatches,
    InputSelection,
    from_examples,
)
from landslide_tf.train.decision import fit_decision
from landslide_tf.train.recipe.schema import DecisionSection

BOTH = DecisionSection(threshold=True, temperature=True)
SELECTION = InputSelection(("z",))


def batches(share=None):
    """Pixels whose image is the logit of being landslide, in tenths."""
    random = np.random.default_rng(4)
    channels = {"z": Channel("z", "image", 0)}
    description = DataDescription("made", "test", channels, ("other", "slide"), 1)
    examples = []
    for k in range(12):
        logits = random.integers(-30, 21, (32, 32, 1))
        chance = 1 / (1 + np.exp(-logits[..., 0] / 10))
        mask = (random.random((32, 32)) < (chance if share is None else share)) * 1
        mask[:2] = 255
        image = logits.astype(np.float32)
        examples.append({"image": image, "mask": mask.astype(np.uint8), "id": str(k)})
    return EvaluationBatches(from_examples(examples, description), SELECTION, 4)


def network(factor):
    """Gives probabilities whose logits are `factor` times the true ones."""
    image = keras.Input((None, None, 1), name="image")
    slide = image * (factor / 10)
    logits = keras.ops.concatenate([keras.ops.zeros_like(slide), slide], axis=-1)
    return keras.Model({"image": image}, keras.ops.softmax(logits))


def pixels(data):
    found = [data.batch(k) for k in range(len(data))]
    logits = np.concatenate([x["image"].ravel() for x, _ in found]) / 10
    labels = np.concatenate([y.ravel() for _, y in found])
    return logits[labels != 255], labels[labels != 255]


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_the_temperature_undoes_a_factor_on_the_logits(factor):
    found = fit_decision(network(factor), batches(), BOTH, 1)
    assert found.temperature == pytest.approx(factor, rel=0.05)
    assert found.metrics["ece_after"] < 0.02 < found.metrics["ece_before"]


def f1_of(logits, labels, cut):
    mapped = logits >= cut
    return 2 * (mapped & (labels == 1)).sum() / (mapped.sum() + (labels == 1).sum())


def test_the_threshold_is_as_good_as_the_best_of_all():
    data = batches()
    found = fit_decision(network(1.0), data, DecisionSection(threshold=True), 1)
    logits, labels = pixels(data)
    best = max(f1_of(logits, labels, cut) for cut in np.unique(logits))
    own = f1_of(1 / (1 + np.exp(-logits)), labels, found.threshold)
    assert found.metrics == {"threshold_f1": pytest.approx(own, abs=1e-3)}
    assert best - 0.01 < own <= best + 1e-9
    assert found.temperature is None


def test_without_landslides_no_threshold_is_chosen():
    with pytest.warns(UserWarning, match="no threshold is chosen"):
        found = fit_decision(network(1.0), batches(share=0.0), BOTH, 1)
    assert found.threshold is None and found.temperature is not None


def test_nothing_is_fitted_where_nothing_is_asked_for():
    found = fit_decision(None, None, DecisionSection(), 1)
    assert (found.threshold, found.temperature, found.metrics) == (None, None, {})
