"""The decoder of a region: chosen inside the graph, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.ecoregions import NO_REGION
from landslide_tf.errors import ModelError


class RegionLayer(keras.layers.Layer):
    """Base of the layers that know the regions of a network.

    Args:
        regions: Names in the order of their indices; None for a region that was
            removed and whose index stays unused.
        network: How the network's trunk and decoders were made, JSON values.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    allows_none = False

    def __init__(
        self,
        regions: Sequence[str | None],
        network: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.regions = tuple(regions)
        self.network = dict(network or {})

    @property
    def indices(self) -> list[int]:
        """Indices that have a decoder."""
        return [k for k, name in enumerate(self.regions) if name is not None]

    def checked(self, region: Tensor) -> Tensor:
        """Refuses indices without a decoder, wherever the values are known.

        Args:
            region: Indices (batch,).

        Returns:
            int32 (batch,).

        Raises:
            ModelError: In eager execution; a TensorFlow graph raises
                `InvalidArgumentError`, and compiled code, which cannot raise, gives
                NaN for such an image.
        """
        region = keras.ops.cast(region, "int32")
        backend = keras.backend.backend()
        if backend == "tensorflow":
            import tensorflow as tf

            if isinstance(region, tf.Tensor) and hasattr(region, "numpy"):
                self._check_values(region.numpy())
                return region
            return self._asserted(region)
        if backend == "jax":
            import jax

            if not isinstance(region, jax.core.Tracer):
                self._check_values(np.asarray(region))
        return region

    def _known(self) -> list[int]:
        return [*([NO_REGION] if self.allows_none else []), *self.indices]

    def _words(self) -> str:
        names = ", ".join(f"{k} {self.regions[k]}" for k in self.indices)
        none = f", {NO_REGION} the mean of all" if self.allows_none else ""
        return f"`region` must be the index of a known region ({names}{none})"

    def _check_values(self, values: np.ndarray) -> None:
        unknown = sorted(set(values.tolist()) - set(self._known()))
        if unknown:
            raise ModelError(
                f"{self._words()}, received {unknown[0]}: add the region to the model "
                "or name another."
            )

    def _asserted(self, region: Tensor) -> Tensor:
        import tensorflow as tf

        known = tf.constant(self._known(), tf.int32)
        found = tf.reduce_any(tf.equal(region[:, None], known[None]), axis=1)
        unknown = tf.boolean_mask(region, ~found)
        message = f"{self._words()}, received:"
        check = tf.debugging.Assert(tf.reduce_all(found), [message, unknown])
        with tf.control_dependencies([check]):
            return tf.identity(region)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        own = {"regions": list(self.regions), "network": self.network}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="landslide_tf")
class SelectRegion(RegionLayer):
    """Picks for each image the probabilities of its region's decoder.

    Every decoder has run on every image; index -1 ("no region") takes the mean of
    them all.
    """

    allows_none = True

    def call(self, probabilities: Sequence[Tensor], region: Tensor) -> Tensor:
        """Selects.

        Args:
            probabilities: One tensor (batch, height, width, 1) a region that is not
                removed, in the order of their indices.
            region: int32 (batch,).

        Returns:
            Tensor (batch, height, width, 1).
        """
        ops = keras.ops
        region = ops.reshape(self.checked(region), (-1, 1, 1, 1))
        # Where nothing below applies the value stays NaN: no decoder is right.
        chosen = ops.full_like(probabilities[0], np.nan)
        for index, values in zip(self.indices, probabilities, strict=True):
            chosen = ops.where(ops.equal(region, index), values, chosen)
        mean = ops.mean(ops.stack(probabilities), axis=0)
        return ops.where(ops.equal(region, NO_REGION), mean, chosen)

    def compute_output_shape(
        self, probabilities_shape: Sequence[Shape], region_shape: Shape
    ) -> Shape:
        """Returns the shape of one decoder's probabilities."""
        return probabilities_shape[0]


@keras.saving.register_keras_serializable(package="landslide_tf")
class DecodeByRegion(RegionLayer):
    """Runs each decoder on the images of its own region only (TensorFlow).

    A batch costs one decoder an image instead of all of them; index -1 is unknown.

    Args:
        regions: As in `RegionLayer`.
        decoders: One functional model a region that is not removed.
        network: As in `RegionLayer`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ModelError: On another backend of Keras.
    """

    def __init__(
        self,
        regions: Sequence[str | None],
        decoders: Sequence[keras.Model],
        network: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(regions, network, **kwargs)
        if keras.backend.backend() != "tensorflow":
            raise ModelError(
                "`routing='partition'` needs the Keras backend `tensorflow`, received "
                f"`{keras.backend.backend()}`: use `routing='all'`."
            )
        self.decoders = list(decoders)

    def call(
        self,
        features: Any,  # noqa: ANN401 - a tensor or a list of tensors
        like: Tensor,
        region: Tensor,
        training: bool | None = None,
    ) -> Tensor:
        """Decodes.

        Args:
            features: What the decoders take, (batch, …).
            like: Tensor with the height and width of the probabilities.
            region: int32 (batch,).
            training: Whether dropout is applied and batches are normalised.

        Returns:
            float32 (batch, height, width, 1).
        """
        import tensorflow as tf

        region = self.checked(region)
        size = tf.shape(like)[1:3]
        places, parts = [], []
        for index, decoder in zip(self.indices, self.decoders, strict=True):
            place = tf.cast(tf.where(tf.equal(region, index))[:, 0], tf.int32)

            def run(place: Tensor = place, decoder: keras.Model = decoder) -> Tensor:
                part = keras.tree.map_structure(lambda x: tf.gather(x, place), features)
                return decoder(part, training=training)

            # Not even a batch of nothing: batch normalisation fails on it.
            part = tf.cond(
                tf.size(place) > 0, run, lambda: tf.zeros((0, size[0], size[1], 1))
            )
            places.append(place)
            parts.append(part)
        outputs = tf.dynamic_stitch(places, parts)
        outputs.set_shape((None, *like.shape[1:3], 1))
        return outputs

    def compute_output_shape(
        self,
        features_shape: Any,  # noqa: ANN401 - as `features`
        like_shape: Shape,
        region_shape: Shape,
    ) -> Shape:
        """Returns (batch, height, width, 1)."""
        return (*like_shape[:3], 1)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        made = [keras.saving.serialize_keras_object(d) for d in self.decoders]
        return {**super().get_config(), "decoders": made}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DecodeByRegion:
        """Makes the layer from its config."""
        made = [keras.saving.deserialize_keras_object(d) for d in config["decoders"]]
        return cls(**{**config, "decoders": made})
