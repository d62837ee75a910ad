"""What the two fully convolutional networks on VGG-16 share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.layers import Normalization, conv_bn_relu, scaled_channels
from landslide_tf.models import assembly
from landslide_tf.models.backbones import vgg16
from landslide_tf.models.backbones.pretrained import (
    check_backbone_weights,
    load_backbone_weights,
)
from landslide_tf.models.backbones.stem import Stem

STRIDE = 32


@dataclass(frozen=True)
class FullyConvolutional:
    """The choices that the FCN variants share; the builders document them."""

    head: assembly.Head
    normalization: Normalization
    batch_norm: bool
    fc_units: int
    width: float
    backbone_weights: str | Path | None
    stem: Stem | None = None

    def prepared(self, image: Tensor) -> Tensor:
        """Pads and normalises the image, once it fits the pretrained weights."""
        check_backbone_weights(
            self.backbone_weights,
            backbone="vgg16",
            width=self.width,
            bands=image.shape[-1],
            fits=not self.batch_norm,
            needs="`batch_norm=False`",
            stem=self.stem,
            normalization=self.normalization,
        )
        normalization = assembly.effective_normalization(
            self.normalization, self.backbone_weights
        )
        return assembly.prepared_image(image, STRIDE, normalization)

    def scored(self, x: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Returns VGG-16's features and the class scores at 1/32."""
        features = vgg16(x, batch_norm=self.batch_norm, width=self.width)
        x = features["P5"]
        units = scaled_channels(self.fc_units, self.width)
        for name, kernel_size in (("fc6", 7), ("fc7", 1)):
            x = conv_bn_relu(
                x, units, kernel_size, name=name, batch_norm_after=self.batch_norm
            )
            x = assembly.dropped(x, self.head.dropout, f"{name}_dropout")
        return features, assembly.class_scores(x, self.head.num_classes, "score_fr")

    def finished(
        self, image: Tensor, scores: Tensor, weights: str | Path | None, name: str
    ) -> keras.Model:
        """Crops scores of the padded image, makes the model and loads its weights."""
        outputs = assembly.cropped_output(scores, image, self.head.activation)
        model = keras.Model([image], outputs, name=name)
        if self.backbone_weights is not None:
            load_backbone_weights(
                model,
                "vgg16",
                self.backbone_weights,
                bands=image.shape[-1],
                stem=self.stem,
            )
        assembly.load_whole_weights(model, weights)
        return model
