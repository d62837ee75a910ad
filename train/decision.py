"""What is fitted on validation once the weights are final: temperature, threshold.

Apart from the engine, because it takes any network and batches and knows no run.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from landslide_tf.errors import warn
from landslide_tf.metrics import (
    LogitSample,
    ReliabilityAccumulator,
    ThresholdAccumulator,
    apply_temperature,
    standard_error_threshold,
)
from landslide_tf.metrics.decision import LandslideClass
from landslide_tf.models.prediction import prediction_function
from landslide_tf.pipelines import EvaluationData, read_batches
from landslide_tf.pipelines.segmentation import Batch
from landslide_tf.train.recipe.schema import DecisionSection

# Probabilities are kept in float32: a smaller one is 0 there.
SMALLEST = np.finfo(np.float32).tiny


@dataclass(frozen=True)
class Decision:
    """How probabilities become a map.

    Attributes:
        threshold: Smallest P(landslide) of a landslide; None is the argmax.
        temperature: What logits are divided by; None is 1.
        metrics: ECE before and after, F1 at the threshold, as far as fitted.
    """

    threshold: float | None
    temperature: float | None
    metrics: dict[str, float]


def fit_decision(
    model: keras.Model,
    batches: EvaluationData[Batch],
    section: DecisionSection,
    landslide_class: LandslideClass,
) -> Decision:
    """Fits temperature and threshold, in this order, as a recipe asks.

    Args:
        model: The final model, giving probabilities.
        batches: Validation examples.
        section: What to fit.
        landslide_class: Index of the landslide class, or `"sigmoid"`.

    Returns:
        The decision; a threshold that cannot be fitted, as where validation shows no
        landslide, is left out with a warning.
    """
    if not (section.threshold or section.temperature):
        return Decision(None, None, {})
    predict = prediction_function(model)
    temperature, metrics = None, {}
    if section.temperature:
        sample = LogitSample()
        before = ReliabilityAccumulator()
        for inputs, labels in read_batches(batches):
            probabilities = predict(inputs)
            before.update(probabilities, labels)
            sample.update(_logits(probabilities), labels)
        temperature = sample.temperature()
        metrics["ece_before"] = before.ece
    after = ReliabilityAccumulator()
    images: list[ThresholdAccumulator] = []
    for inputs, labels in read_batches(batches):
        probabilities = predict(inputs)
        if temperature is not None:
            probabilities = apply_temperature(probabilities, temperature)
        after.update(probabilities, labels)
        if section.threshold:
            images += _counted_apart(probabilities, labels, landslide_class)
    if temperature is not None:
        metrics["ece_after"] = after.ece
    chosen = standard_error_threshold(images) if section.threshold else None
    if section.threshold and chosen is None:
        warn(
            "Validation shows no landslide, or nothing else: no threshold is chosen.",
        )
    if chosen is None:
        return Decision(None, temperature, metrics)
    metrics["threshold_f1"] = float(chosen.f1)
    return Decision(float(chosen.threshold), temperature, metrics)


def _counted_apart(
    probabilities: np.ndarray, labels: np.ndarray, landslide_class: LandslideClass
) -> list[ThresholdAccumulator]:
    """Returns the counts of each image of a batch."""
    found = [ThresholdAccumulator(landslide_class) for _ in labels]
    for counts, values, truth in zip(found, probabilities, labels, strict=True):
        counts.update(values, truth)
    return found


def _logits(probabilities: np.ndarray) -> np.ndarray:
    """Returns logits up to a constant, which the softmax takes out again."""
    clipped = np.clip(probabilities, SMALLEST, None)
    if probabilities.shape[-1] > 1:
        return np.log(clipped)
    return np.log(clipped) - np.log(np.clip(1 - probabilities, SMALLEST, None))
