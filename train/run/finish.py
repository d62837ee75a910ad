"""The end of a run: its best weights as a model that others use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from landslide_tf import models
from landslide_tf.errors import RunError
from landslide_tf.files import atomic_path
from landslide_tf.metadata import Band, Factor, ModelMetadata
from landslide_tf.models.assembly import effective_normalization
from landslide_tf.pipelines import ExampleStore
from landslide_tf.train.decision import fit_decision
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.run.checkpoint import assign_variables
from landslide_tf.train.run.folder import versions
from landslide_tf.train.run.recorder import RunRecorder
from landslide_tf.train.tasks.setup import RunData, build_model
from landslide_tf.train.transfer.adversarial import AdversarialModel
from landslide_tf.train.transfer.paired_batches import PairedValidation


def write_result(
    recorder: RunRecorder,
    recipe: Recipe,
    model: keras.Model,
    arguments: Mapping[str, Any],
    batches: RunData,
    command: str | None,
) -> None:
    """Writes `model.keras` and `model.json` of a run that has ended.

    Args:
        recorder: The run and its best weights.
        recipe: The resolved recipe.
        model: The trained model, giving logits; takes the best weights.
        arguments: Keyword arguments it was built with.
        batches: Training and validation examples.
        command: The command line.

    Raises:
        RunError: If no best weights were saved.
    """
    run, best = recorder.run, recorder.best_weights()
    if best is None:
        raise RunError(f"`{run.checkpoints}` holds no best weights.")
    assign_variables({"model": list(model.variables)}, best)
    # Trained as logits in the run's precision, kept as probabilities in float32.
    keras.config.set_dtype_policy("float32")
    arguments = trained_arguments(
        arguments, classifier=recipe.classification is not None
    )
    final = build_model(recipe.model.name, arguments, activation="softmax")
    trained = model.network if isinstance(model, AdversarialModel) else model
    final.set_weights(trained.get_weights())
    with atomic_path(run.model) as temporary:
        final.save(temporary)
    store = batches.training.store
    metadata = describe_model(recipe, final, store, arguments, run.path.name)
    validation = batches.validation
    if isinstance(validation, PairedValidation):
        validation = validation.source
    decision = fit_decision(
        final, validation, recipe.decision, metadata.landslide_class
    )
    metadata.threshold = decision.threshold
    metadata.temperature = decision.temperature
    metadata.versions = versions()
    metadata.command = command
    row = recorder.rows[recorder.best_epoch or 0]
    scores = {k.removeprefix("val_"): v for k, v in row.items() if "val_" in k}
    metadata.metrics = {"validation": {**scores, **decision.metrics}}
    if recipe.adaptation is not None:
        metadata.metrics["adaptation"] = recipe.adaptation.facts()
    metadata.write(run.path)


def trained_arguments(
    arguments: Mapping[str, Any], *, classifier: bool = False
) -> dict[str, Any]:
    """Returns the arguments that build a trained network without its starting weights.

    Encoder weights bring their own normalisation, which stays; a classifier has that
    of its encoder with and without them.
    """
    result = {
        k: v
        for k, v in arguments.items()
        if k not in ("weights", "backbone_weights", "stem")
    }
    start = arguments.get("backbone_weights")
    if start is not None and not classifier:
        given = arguments.get("normalization", "imagenet")
        result["normalization"] = effective_normalization(given, start)
    return result


def describe_model(
    recipe: Recipe,
    model: keras.Model,
    store: ExampleStore,
    arguments: Mapping[str, Any],
    name: str,
) -> ModelMetadata:
    """Returns the metadata of a model trained with a resolved recipe."""
    description = store.description
    channels = description.channels
    scale = recipe.data.image_scale

    def limits(channel: str, factor: float = 1.0) -> tuple[float, float] | None:
        known = channels[channel].range
        return None if known is None else (known[0] * factor, known[1] * factor)

    gsd = description.gsd
    return ModelMetadata(
        name=name,
        builder=recipe.model.name,
        arguments={
            k: list(v) if isinstance(v, tuple) else v for k, v in arguments.items()
        },
        inputs=[
            Band(name=n, unit=channels[n].unit, scale=scale, range=limits(n, scale))
            for n in recipe.data.image
        ],
        factors=[
            Factor(name=n, unit=channels[n].unit, range=limits(n))
            for n in recipe.data.factors
        ],
        cell_size=None if gsd is None else (gsd, gsd),
        stride=models.total_stride(model),
        task="segmentation" if recipe.classification is None else "classification",
        tile=recipe.training.patch or max(map(max, store.sizes)),
        classes=list(description.classes),
        landslide_class=description.landslide_class,
        dataset=f"{description.name}:{description.version}",
        split=description.split,
        licence=description.licence,
    )
