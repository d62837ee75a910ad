"""What RAE-D, FSTF-Net and their relatives share: encoder, ASPP, decoder, head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.errors import ModelError
from landslide_tf.layers import (
    Normalization,
    Resize2D,
    aspp,
    conv_bn_relu,
    scaled_channels,
)
from landslide_tf.layers.blocks import decoder_multiplier
from landslide_tf.models import assembly
from landslide_tf.models.backbones import Stem, check_encoder, encoder

FEATURE_CHANNELS = 256
ASPP_RATES = (6, 12, 18)  # at output stride 16


@dataclass(frozen=True)
class ContextNetwork:
    """The choices that all networks with an encoder and ASPP share.

    The fields are arguments of the builder functions, which document them.
    """

    normalization: Normalization
    backbone: str
    backbone_layout: str
    output_stride: int
    multi_grid: Sequence[int] | None
    width: float
    align_corners: bool
    backbone_weights: str | Path | None
    aspp_rates: Sequence[int] = ASPP_RATES
    separable_aspp: bool = False
    depth_activation: bool = True
    stem: Stem | None = None
    decoder_width: float | None = None

    def __post_init__(self) -> None:
        check_encoder(
            self.backbone, self.backbone_layout, self.output_stride, self.multi_grid
        )
        rates = self._rates()
        if not rates or min(rates) < 1 or len(set(rates)) < len(rates):
            raise ModelError(
                "`aspp_rates` must be different dilations of at least "
                f"{max(1, self.output_stride // 16)} at output stride "
                f"{self.output_stride}, received {tuple(self.aspp_rates)}."
            )

    def _rates(self) -> list[int]:
        """Returns the dilations of ASPP on the encoder's grid."""
        return [int(rate) * 16 // self.output_stride for rate in self.aspp_rates]

    @property
    def other_width(self) -> float:
        """Width multiplier of all that is not the backbone."""
        return decoder_multiplier(self.width, self.decoder_width)

    def channels(self, count: int) -> int:
        """Returns a channel count behind the backbone, multiplied."""
        return scaled_channels(count, self.other_width)

    def prepared(self, image: Tensor, stride: int) -> Tensor:
        """Pads and normalises the image, once it fits the pretrained weights."""
        return assembly.pretrained_image(
            image,
            stride,
            self.normalization,
            backbone=self.backbone,
            backbone_weights=self.backbone_weights,
            width=self.width,
            fits=self.backbone_layout == "keras",
            needs="`backbone_layout='keras'`",
            stem=self.stem,
        )

    def encoded(self, x: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Returns the encoder's features by name, and the ASPP feature."""
        features = encoder(
            x,
            self.backbone,
            layout=self.backbone_layout,
            output_stride=self.output_stride,
            multi_grid=self.multi_grid,
            width=self.width,
        )
        context = aspp(
            features["C5"],
            self.channels(FEATURE_CHANNELS),
            rates=self._rates(),
            separable=self.separable_aspp,
            depth_activation=self.depth_activation,
            align_corners=self.align_corners,
        )
        return features, context

    def joined(
        self, x: Tensor, skip: Tensor, name: str, skip_channels: int | None
    ) -> Tensor:
        """Resizes a feature to a skip's size and concatenates the (reduced) skip."""
        if skip_channels is not None:
            if skip_channels < 1:
                raise ModelError(
                    "`skip_channels` must be >= 1, or None for the raw skips, received "
                    f"{skip_channels!r}."
                )
            skip = conv_bn_relu(
                skip, self.channels(skip_channels), 1, name=f"{name}_skip"
            )
        x = Resize2D(align_corners=self.align_corners, name=f"{name}_up")(x, skip)
        return keras.layers.Concatenate(name=f"{name}_concat")([x, skip])

    def two_skip_decoder(
        self,
        x: Tensor,
        features: dict[str, Tensor],
        skip_channels: int | None,
        decoder_dropout: float,
    ) -> Tensor:
        """Applies the decoder of RAE-D (Xia et al. 2021, section 2.1).

        The feature is enlarged to 1/8, joined with the skip there and convolved twice;
        then the same at 1/4.
        """
        filters = self.channels(FEATURE_CHANNELS)
        x = assembly.dropped(x, decoder_dropout, "dec_dropout")
        for name, level in (("dec1", "C3_reduced"), ("dec2", "C2_reduced")):
            x = self.joined(x, features[level], name, skip_channels)
            x = conv_bn_relu(x, filters, 3, name=f"{name}_a")
            x = assembly.dropped(x, decoder_dropout, f"{name}_dropout")
            x = conv_bn_relu(x, filters, 3, name=f"{name}_b")
        return x

    def finished(
        self,
        inputs: list[Tensor],
        x: Tensor,
        padded: Tensor,
        head: assembly.Head,
        weights: str | Path | None,
        skip_head: bool,
        name: str,
    ) -> keras.Model:
        """Adds the head (Xia et al. 2021, section 2.3), makes the model, loads weights.

        Args:
            inputs: The inputs, `image` first.
            x: Feature that the classes are scored from.
            padded: A tensor of the padded image's size.
            head: What to score.
            weights: File of the whole network, or None.
            skip_head: Whether it leaves the head as it is.
            name: Name of the model.

        Returns:
            The model.
        """
        x = assembly.dropped(x, head.dropout, "head_dropout")
        scores = assembly.class_scores(x, head.num_classes)
        scores = assembly.enlarged(scores, padded, self.align_corners)
        outputs = assembly.cropped_output(scores, inputs[0], head.activation)
        return assembly.finished(
            inputs,
            outputs,
            name,
            weights,
            skip_head,
            backbone=self.backbone,
            backbone_weights=self.backbone_weights,
            stem=self.stem,
        )
