"""What of a Keras model is served: its inputs by name, its probabilities.

Apart from writing the graph and from comparing what was written, which both ask it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from landslide_tf.array_types import FloatArray, IntArray, Shape, Tensor
from landslide_tf.errors import ModelError
from landslide_tf.metadata import Band, Factor, ModelMetadata
from landslide_tf.serving.folding import folded
from landslide_tf.words import counted

if TYPE_CHECKING:
    import keras

IMAGE, FACTORS, REGION = "image", "factors", "region"  # the inputs
PROBABILITIES = "probabilities"
LOGITS = "logits"
MAIN = "main"  # the output that counts, where a network has one more for its training

_IMAGE_RANGE = (0.0, 255.0)
_FACTOR_RANGE = (0.0, 1.0)
_COMPARED = (37, 43)  # no stride divides them


class Network:
    """A Keras model as it is served.

    Args:
        model: Functional model.
        metadata: What `model.json` says of it.

    Raises:
        ModelError: If the two do not fit each other, or the model cannot be served.
    """

    def __init__(self, model: keras.Model, metadata: ModelMetadata) -> None:
        self.model = _main_part(model)
        self.metadata = metadata
        _check_inputs(self.inputs, metadata)
        _check_outputs(self.model, metadata)

    def folded(self) -> Network:
        """The same with batch normalization folded into the layers before it."""
        return Network(folded(self.model), self.metadata)

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self.model.name)

    @cached_property
    def inputs(self) -> dict[str, Tensor]:
        """The symbolic inputs by the names that they are served under.

        A lone input is the image, whatever the model calls it.
        """
        tensors = self.model.inputs
        if len(tensors) == 1:
            return {IMAGE: tensors[0]}
        return {tensor.name: tensor for tensor in tensors}

    @cached_property
    def regions(self) -> dict[int, str]:
        """Names of the model's regions by index; none where it takes no region."""
        if REGION not in self.inputs:
            return {}
        from landslide_tf.models import tsmu

        found = enumerate(tsmu.regions(self.model))
        return {index: name for index, name in found if name is not None}

    @property
    def gives_probabilities(self) -> bool:
        """Whether there is an output of probabilities to decide by."""
        outputs = self.model.output
        return not isinstance(outputs, Mapping) or PROBABILITIES in outputs

    @cached_property
    def encodes_missing(self) -> bool:
        """Whether the network itself knows factors without a value."""
        from landslide_tf.layers import EncodeFactors

        return self._has(EncodeFactors)

    @cached_property
    def smallest(self) -> int:
        """Smallest height and width of an image, pixels."""
        from landslide_tf.evidence.saliency import SMALLEST
        from landslide_tf.layers import MultiScaleSaliency

        return SMALLEST if self._has(MultiScaleSaliency) else 1

    @property
    def compute_dtypes(self) -> set[str]:
        """The types that the layers compute in."""
        return {layer.compute_dtype for layer in self.model.layers}

    def _has(self, kind: type[keras.layers.Layer]) -> bool:
        return any(isinstance(layer, kind) for layer in self.model.layers)

    def __call__(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns what is served, calibrated where the metadata have a temperature."""
        import keras

        # The model's own structure: Keras warns of a dictionary for a lone input.
        names = {id(tensor): name for name, tensor in self.inputs.items()}
        given = keras.tree.map_structure(
            lambda t: inputs[names[id(t)]], self.model.input
        )
        outputs = self.model(given, training=False)
        if isinstance(outputs, Mapping):
            found = dict(outputs)
            # A temperature a branch is that of layers before the fusion.
            single = isinstance(self.metadata.temperature, float)
            if single and PROBABILITIES in found:
                found[PROBABILITIES] = _calibrated(found[PROBABILITIES], self.metadata)
            return found
        if isinstance(outputs, list | tuple):
            (outputs,) = outputs
        outputs = keras.ops.cast(outputs, "float32")
        if _gives_logits(self.model):
            one = outputs.shape[-1] == 1
            outputs = keras.ops.sigmoid(outputs) if one else keras.ops.softmax(outputs)
        return {PROBABILITIES: _calibrated(outputs, self.metadata)}

    def least_pixels(self, warm_up: int | None) -> int:
        """Returns how many pixels a request of ours has, at most."""
        shape = next(iter(self.inputs.values())).shape
        compared = concrete_shape(shape, 2, _COMPARED)
        asked = concrete_shape(shape, 1, (warm_up or 1, warm_up or 1))
        return max(math.prod(size[:3]) for size in (compared, asked))

    def random_inputs(
        self, size: tuple[int, int] = _COMPARED
    ) -> dict[str, FloatArray | IntArray]:
        """Two examples within the bands' ranges.

        Args:
            size: Height and width in pixels, for a model of any size.
        """
        random = np.random.default_rng(0)
        known = _channels(self.metadata)
        found: dict[str, FloatArray | IntArray] = {}
        for name, tensor in self.inputs.items():
            if name == REGION:
                newest_first = list(self.regions)[::-1]
                found[name] = np.resize(np.array(newest_first, np.int32), 2)
                continue
            shape = concrete_shape(tensor.shape, 2, size)
            default = _IMAGE_RANGE if name == IMAGE else _FACTOR_RANGE
            ranges = [c.range or default for c in known.get(name, [])]
            low, high = np.transpose(ranges or [default])
            found[name] = random.uniform(low, high, shape).astype(tensor.dtype)
        return found


def concrete_shape(shape: Shape, batch: int, size: tuple[int, int]) -> tuple[int, ...]:
    """Returns (batch, height, width, channels) with unknown sizes filled in."""
    filled = (batch, *size)
    return tuple(filled[i] if s is None else s for i, s in enumerate(shape))


def _main_part(model: keras.Model) -> keras.Model:
    """Returns the model without what is of use in training alone; layers are shared.

    Raises:
        ModelError: If it is no functional model of Keras on TensorFlow.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ModelError(
            "export needs the Keras backend `tensorflow`, received "
            f"`{keras.backend.backend()}`: save the model as .keras, load it in a "
            "process with KERAS_BACKEND=tensorflow and export it there."
        )
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ModelError(
            "export needs a functional `keras.Model` with named inputs, received "
            f"`{type(model).__name__}`: build it with `keras.Model(inputs, outputs)`."
        )
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs, model.outputs[0], name=model.name)
    if isinstance(model.output, Mapping) and MAIN in model.output:
        return keras.Model(model.input, model.output[MAIN], name=model.name)
    return model


def _channels(metadata: ModelMetadata) -> dict[str, Sequence[Band | Factor]]:
    """Returns what the metadata say of the channels of each input."""
    return {IMAGE: metadata.inputs, FACTORS: metadata.factors}


def _check_inputs(inputs: Mapping[str, Tensor], metadata: ModelMetadata) -> None:
    known = _channels(metadata)
    for name, tensor in inputs.items():
        shape = tuple(tensor.shape)
        if name in known and len(shape) != 4:
            raise ModelError(
                f"input `{name}` of `{metadata.name}` must be (batch, height, width, "
                f"channels) to be served, received {shape}: build the model so."
            )
        channels = known.get(name)
        if channels is not None and len(channels) != shape[-1]:
            names = ", ".join(f"`{c.name}`" for c in channels) or "none"
            raise ModelError(
                f"input `{name}` of `{metadata.name}` has "
                f"{counted(shape[-1], 'channel')}, its metadata names {len(channels)} "
                f"({names}): correct the metadata."
            )
    if metadata.factors and FACTORS not in inputs:
        raise ModelError(
            f"the metadata of `{metadata.name}` names factors, its inputs are "
            f"{', '.join(f'`{n}`' for n in inputs)}: correct the metadata."
        )


def _check_outputs(model: keras.Model, metadata: ModelMetadata) -> None:
    outputs = model.output
    if isinstance(outputs, Mapping):
        if isinstance(metadata.temperature, float) and PROBABILITIES not in outputs:
            raise ModelError(
                f"the metadata of `{metadata.name}` have a temperature, and none of "
                f"its outputs ({', '.join(f'`{name}`' for name in outputs)}) is called "
                f"`{PROBABILITIES}` or `{MAIN}`: name the one that is calibrated so, "
                "or leave the temperature out."
            )
        return
    if isinstance(outputs, list | tuple) and len(outputs) != 1:
        raise ModelError(
            f"`{model.name}` must have one output or a dictionary of outputs, received "
            f"a list of {len(outputs)}: build it with `outputs={{name: tensor}}`."
        )
    channels = model.outputs[0].shape[-1]
    wanted = 1 if metadata.landslide_class == "sigmoid" else len(metadata.classes)
    if channels != wanted:
        raise ModelError(
            f"the output of `{model.name}` has {counted(channels, 'channel')}, its "
            f"metadata names {wanted} (landslide_class `{metadata.landslide_class}`, "
            f"classes {', '.join(metadata.classes)}): correct the metadata."
        )


def _gives_logits(model: keras.Model) -> bool:
    """Whether the output is logits: by its name, or as a layer without activation."""
    import keras

    if model.output_names[0] == LOGITS:
        return True
    # A Sequential keeps its last layer there, a functional model its output's.
    last = model.get_layer(model.output_names[0])
    weighted = isinstance(last, keras.layers.Dense) or hasattr(last, "kernel_size")
    return weighted and getattr(last, "activation", None) is keras.activations.linear


def _calibrated(probabilities: Tensor, metadata: ModelMetadata) -> Tensor:
    """Divides the logits behind probabilities by the model's temperature."""
    import keras

    temperature = metadata.temperature
    if temperature is None:
        return probabilities
    if not isinstance(temperature, float):
        raise ModelError(
            f"`{metadata.name}` has a temperature a branch, and its export has one "
            "output: give `temperature` one number."
        )
    ops = keras.ops
    powers = ops.power(probabilities, 1.0 / temperature)
    if probabilities.shape[-1] == 1:
        others = ops.power(1.0 - probabilities, 1.0 / temperature)
        return powers / (powers + others)
    return powers / ops.sum(powers, axis=-1, keepdims=True)
