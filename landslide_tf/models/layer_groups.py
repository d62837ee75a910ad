"""Layers of the networks by what they are for, and keeping some of them fixed."""

from __future__ import annotations

import fnmatch

import keras

from landslide_tf.errors import ModelError, did_you_mean

_STAGES: dict[str, tuple[str, ...]] = {
    f"stage{n}": (f"conv{n}_*", f"vgg_conv{n}_*", f"enc{n}_*", f"stage{n}_*")
    for n in range(1, 6)
}
_STAGES["stage1"] += ("stem*",)
# Of encoders of whole images: patches, tokens and blocks without stages, the last norm.
_WHOLE = ("patch_*", "tokens*", "block*", "norm*", "head_conv*", "head_bn*")
# Names of layers, with shell wildcards: each stage of an encoder, all of it, the branch
# of the factors, and what scores the classes.
LAYER_GROUPS = {
    **_STAGES,
    "encoder": (*(p for patterns in _STAGES.values() for p in patterns), *_WHOLE),
    "factors": ("fac_*",),
    "head": (
        "logits",
        "logits_conv",
        "aux_conv",
        "score_fr",
        "score_pool?",
        "up_pool?",
        "up_logits",
    ),
}
NORMS = "bn"


def freeze(model: keras.Model, *names: str) -> list[str]:
    """Freezes the weights of layers while the others train.

    Compile the model afterwards. A frozen batch normalisation uses its moving means.

    Args:
        model: A network of this package.
        *names: Groups (`"encoder"`, `"stage1"` to `"stage5"`, `"factors"`, `"head"`,
            `"bn"` for every batch normalisation), or names of layers with shell
            wildcards.

    Returns:
        Names of the layers that are frozen by this, in the order of the network.

    Raises:
        ModelError: If a name fits no layer.

    Example:
        >>> from landslide_tf import models
        >>> model = models.unet(num_classes=2, width=0.125)
        >>> models.freeze(model, "stage1", "bn")[:3]
        ['enc1_a_conv', 'enc1_a_bn', 'enc1_a_relu']
    """
    layers: list[keras.layers.Layer] = []
    for name in names:
        found = batch_norms(model) if name == NORMS else layers_of(model, name)
        if not found:
            raise ModelError(
                f"`{name}` fits no layer of `{model.name}`."
                f"{did_you_mean(name, [*LAYER_GROUPS, NORMS])}"
            )
        layers += found
    for layer in layers:
        layer.trainable = False
    frozen = {layer.name for layer in layers}
    inner = [x.name for x in model._flatten_layers() if x.name in frozen]
    return list(dict.fromkeys(inner))


def layers_of(model: keras.Model, name: str) -> list[keras.layers.Layer]:
    """Returns the layers of a group, or whose names fit a pattern."""
    patterns = LAYER_GROUPS.get(name, (name,))
    return [
        layer
        for layer in model.layers
        if any(fnmatch.fnmatch(layer.name, pattern) for pattern in patterns)
    ]


def batch_norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Returns the batch norms of a model, those within other layers too."""
    norm = keras.layers.BatchNormalization
    return [x for x in model._flatten_layers() if isinstance(x, norm)]
