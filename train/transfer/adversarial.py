"""Adversarial adaptation in the output space, as one Keras model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.choices import Game
from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.layers.replicas import replicated
from landslide_tf.metrics import ConfusionMatrix

SOURCE, TARGET = 0, 1  # labels of the discriminators
DOMAIN = "domain"  # input of validation: which region an example is from
TARGET_PREFIX = "target_"
PARTS = ("segmentation_loss", "adversarial_loss", "discriminator_loss")


class AdversarialModel(keras.Model):
    """A segmentation network and the discriminators it has to deceive.

    With source maps S, target maps T, a discriminator D for every level l of output
    (Tsai et al. 2018, sections 3.2 and 4.3; ADANet's released code) the loss is
    Σ λ_l L(S_l, y) + Σ μ_l g(D_l°(T_l), source) + Σ ½ [g(D_l(S_l°), source) +
    g(D_l(T_l°), target)], where ° stops the gradient at the maps or at the weights of
    D. One gradient is therefore that of both players, each of its own loss, at the
    same weights: the published alternation, whose steps are taken together.

    Source and target go through the network one after the other, each with its own
    batch statistics; both move the moving statistics.

    In training `x` holds the network's inputs of the source and, under `target_image`
    and so on, those of the target. In validation each example is of one region, which
    `x["domain"]` (batch,) names: 0 source, 1 target. Then the loss is that of the
    network, each region adding its term.

    Args:
        generator: Gives logits: one tensor, or a dictionary by level with `main`.
        network: The part of `generator` that is kept: `main` alone.
        discriminators: A discriminator for every level, giving logits.
        loss: Segmentation loss from logits.
        segmentation: λ by level.
        adversarial: μ by level.
        game: What g is: `"cross_entropy"`, or `"least_squares"` (Mao et al. 2017).
        label_noise: Labels of the discriminators' own loss are drawn for every cell of
            their output from [0, noise] and [1 - noise, 1]; in [0, 1).
        confusion: Scores the source.
        oracle: Whether validation has target labels and scores them, for comparison.
    """

    def __init__(
        self,
        generator: keras.Model,
        network: keras.Model,
        discriminators: Mapping[str, keras.Model],
        *,
        loss: keras.losses.Loss,
        segmentation: Mapping[str, float],
        adversarial: Mapping[str, float],
        game: Game = "cross_entropy",
        label_noise: float = 0.0,
        confusion: ConfusionMatrix,
        oracle: bool = False,
    ) -> None:
        # Raw units must not be rounded; the networks have their own policies.
        super().__init__(name=network.name, dtype="float32")
        self.generator = generator
        self.discriminators = dict(discriminators)
        self.network = network
        self.segmentation_loss = loss
        self.segmentation_weights = dict(segmentation)
        self.adversarial_weights = dict(adversarial)
        self.game = (
            keras.losses.BinaryCrossentropy(from_logits=True)
            if game == "cross_entropy"
            else keras.losses.MeanSquaredError()
        )
        self.middle = 0.0 if game == "cross_entropy" else 0.5
        self.label_noise = label_noise
        self.noise = keras.random.SeedGenerator()
        # Python, not a variable: a step is traced with either value.
        self.inference = False
        self.confusion = confusion
        self.oracle = _TargetIoU(confusion) if oracle else None
        self.parts = {
            name: keras.metrics.Mean(name=name, dtype="float32") for name in PARTS
        }
        self.notes = {
            name: keras.metrics.Mean(name=name, dtype="float32")
            for name in (
                "discriminator_source_accuracy",
                "discriminator_target_accuracy",
                "source_fraction",
                "target_fraction",
                "target_entropy",
            )
        }
        self.built = True

    def call(
        self, inputs: Mapping[str, Tensor], training: bool | None = None
    ) -> dict[str, Tensor]:
        """Returns logits and what the discriminators say, by level.

        Args:
            inputs: As described above.
            training: Whether the networks train.

        Returns:
            `main` and `judged_main`; in training also `target_main`,
            `judged_target_main` and `fooled_main`; the same for other levels.
        """
        names = [tensor.name for tensor in self.generator.inputs]
        training = bool(training) and not self.inference
        found = {}
        for level, logits in self._logits(inputs, names, "", training).items():
            maps = keras.ops.stop_gradient(keras.ops.softmax(logits))
            found[level] = logits
            found[f"judged_{level}"] = self.discriminators[level](maps)
        if TARGET_PREFIX + names[0] not in inputs:
            return found
        target = self._logits(inputs, names, TARGET_PREFIX, training)
        for level, logits in target.items():
            maps = keras.ops.softmax(logits)
            judge = self.discriminators[level]
            found[f"{TARGET_PREFIX}{level}"] = logits
            found[f"judged_target_{level}"] = judge(keras.ops.stop_gradient(maps))
            found[f"fooled_{level}"] = _frozen(judge, maps)
        return found

    def _logits(
        self,
        inputs: Mapping[str, Tensor],
        names: list[str],
        prefix: str,
        training: bool,
    ) -> dict[str, Tensor]:
        own = {name: inputs[prefix + name] for name in names}
        logits = self.generator(own, training=training)
        return dict(logits) if isinstance(logits, Mapping) else {"main": logits}

    def compute_loss(
        self,
        x: Mapping[str, Tensor],
        y: Tensor,
        y_pred: Mapping[str, Tensor],
        sample_weight: Tensor | None = None,
        training: bool = True,
    ) -> Tensor:
        """Returns the loss of a batch, a float32 scalar."""
        del sample_weight  # there is none: labels have an ignore value
        levels = list(self.discriminators)
        labels = _of(y, x, SOURCE)
        segmentation = sum(
            self.segmentation_weights[v] * self.segmentation_loss(labels, y_pred[v])
            for v in levels
        )
        if DOMAIN in x:
            domain = keras.ops.cast(x[DOMAIN], "float32")
            share = keras.ops.mean(domain)
            judgement = sum(
                self._against(y_pred[f"judged_{v}"], domain) for v in levels
            )
            deceit = share * self._deceit(y_pred, "judged_", levels)
            weights = {"segmentation_loss": 1.0 - share, "adversarial_loss": share}
            total = segmentation + deceit
        else:
            noise = self.label_noise
            judgement = sum(
                0.5 * self._against(y_pred[f"judged_{v}"], SOURCE, noise)
                + 0.5 * self._against(y_pred[f"judged_target_{v}"], TARGET, noise)
                for v in levels
            )
            deceit = self._deceit(y_pred, "fooled_", levels)
            weights = {}
            total = segmentation + deceit + judgement
        for name, value in zip(PARTS, (segmentation, deceit, judgement), strict=True):
            # Keras divides losses by the number of replicas.
            self.parts[name].update_state(value * _replicas(), weights.get(name))
        return total

    def _deceit(
        self, y_pred: Mapping[str, Tensor], prefix: str, levels: list[str]
    ) -> Tensor:
        """Returns Σ μ_l g(D_l, source) over what the discriminators say of a target."""
        return sum(
            self.adversarial_weights[v] * self._against(y_pred[prefix + v], SOURCE)
            for v in levels
        )

    def _against(
        self, scores: Tensor, label: int | Tensor, noise: float = 0.0
    ) -> Tensor:
        """Returns g(scores, label), the label drawn off 0 or 1 by up to `noise`.

        Args:
            scores: Output of a discriminator (batch, height, width, 1).
            label: Region of the batch, or, without noise, of each example (batch,).
            noise: Largest distance.
        """
        labels = keras.ops.ones_like(scores) * keras.ops.reshape(
            keras.ops.convert_to_tensor(label, "float32"), (-1, 1, 1, 1)
        )
        if noise:
            shape = keras.ops.shape(scores)
            drawn = keras.random.uniform(shape, 0.0, noise, seed=self.noise)
            labels = labels + (1 - 2 * label) * drawn
        return self.game(labels, scores)

    def compute_metrics(
        self,
        x: Mapping[str, Tensor],
        y: Tensor,
        y_pred: Mapping[str, Tensor],
        sample_weight: Tensor | None = None,
    ) -> dict[str, Any]:  # scores by name, of metrics that give several a dictionary
        """Updates and returns the scores."""
        del sample_weight
        labels = _of(y, x, SOURCE)
        self.confusion.update_state(labels, y_pred["main"])
        if self.oracle is not None and DOMAIN in x:
            self.oracle.update_state(_of(y, x, TARGET), y_pred["main"])
        valid = keras.ops.cast(keras.ops.not_equal(labels, IGNORE_VALUE), "float32")
        share = keras.ops.cast(
            keras.ops.equal(
                keras.ops.cast(labels, "int32"), self.confusion.landslide_class
            ),
            "float32",
        )
        self.notes["source_fraction"].update_state(share, sample_weight=valid)
        if DOMAIN in x:
            target = keras.ops.cast(x[DOMAIN], "float32")
            self._note_target(y_pred["main"], target)
            self._note_judgement(y_pred["judged_main"], SOURCE, 1.0 - target)
            self._note_judgement(y_pred["judged_main"], TARGET, target)
        else:
            ones = keras.ops.ones_like(y_pred["main"][:, 0, 0, 0])
            self._note_target(y_pred["target_main"], ones)
            self._note_judgement(y_pred["judged_main"], SOURCE, ones)
            self._note_judgement(y_pred["judged_target_main"], TARGET, ones)
        return self.get_metrics_result()

    def _note_target(self, logits: Tensor, weights: Tensor) -> None:
        """Notes entropy and landslide share of target maps; weights are (batch,)."""
        ops = keras.ops
        logs = ops.log_softmax(logits, axis=-1)
        entropy = ops.mean(-ops.sum(ops.exp(logs) * logs, axis=-1), axis=(1, 2))
        found = ops.equal(ops.argmax(logits, axis=-1), self.confusion.landslide_class)
        shares = ops.mean(ops.cast(found, "float32"), axis=(1, 2))
        pixels = ops.cast(ops.shape(logits)[1] * ops.shape(logits)[2], "float32")
        weights = weights * pixels
        self.notes["target_entropy"].update_state(entropy, sample_weight=weights)
        self.notes["target_fraction"].update_state(shares, sample_weight=weights)

    def _note_judgement(self, scores: Tensor, label: int, weights: Tensor) -> None:
        """Notes how often a discriminator is right; weights are (batch,)."""
        ops = keras.ops
        right = ops.equal(scores > self.middle, bool(label))
        rate = ops.mean(ops.cast(right, "float32"), axis=(1, 2, 3))
        name = "target" if label == TARGET else "source"
        self.notes[f"discriminator_{name}_accuracy"].update_state(
            rate, sample_weight=weights
        )


class InferenceAfter(keras.callbacks.Callback):
    """Ends every epoch with the network in inference mode.

    ADANet's released trainer validates within an epoch and does not go back to
    training mode before the next. The step is traced once for each mode.

    Args:
        steps: Steps of an epoch in training mode.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._steps = steps
        self._functions: dict[bool, Any] = {}  # compiled steps, of Keras's own type

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, float] | None = None
    ) -> None:
        """Changes the mode where it is due."""
        late = batch >= self._steps
        if late == self.model.inference:
            return
        self._functions[self.model.inference] = self.model.train_function
        self.model.inference = late
        if late in self._functions:
            self.model.train_function = self._functions[late]
        else:
            self.model.make_train_function(force=True)


class _TargetIoU(ConfusionMatrix):
    """Landslide IoU of labelled target examples, for comparison only."""

    def __init__(self, like: ConfusionMatrix) -> None:
        super().__init__(**{**like.get_config(), "name": "target_scores"})

    def result(self) -> dict[str, Tensor]:
        """Returns the IoU under a name of its own."""
        return {"target_landslide_iou": super().result()["landslide_iou"]}


def _frozen(judge: keras.Model, maps: Tensor) -> Tensor:
    """Returns what a discriminator says, with a gradient for the maps alone."""
    stop = keras.ops.stop_gradient
    scores, _ = judge.stateless_call(
        [stop(v.value) for v in judge.trainable_variables],
        [v.value for v in judge.non_trainable_variables],
        maps,
    )
    return scores


def _of(labels: Tensor, x: Mapping[str, Tensor], domain: int) -> Tensor:
    """Returns the labels of a region's examples, those of others ignored."""
    if DOMAIN not in x:
        return labels
    own = keras.ops.equal(keras.ops.cast(x[DOMAIN], "int32"), domain)
    return keras.ops.where(own[:, None, None], labels, IGNORE_VALUE)


def _replicas() -> float:
    """Returns how many replicas share the batch, by which Keras divides losses."""
    if not replicated():
        return 1.0
    import tensorflow as tf

    return float(tf.distribute.get_replica_context().num_replicas_in_sync)
