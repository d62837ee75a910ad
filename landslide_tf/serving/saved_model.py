"""A Keras model as a SavedModel version that TensorFlow Serving can pick up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from landslide_tf.array_types import FloatArray, IntArray, Tensor
from landslide_tf.errors import ModelError, RunError
from landslide_tf.files import atomic_folder, remove_leftovers
from landslide_tf.metadata import Band, Factor, ModelMetadata
from landslide_tf.serving.assets import concrete_shape, write_assets
from landslide_tf.serving.served_model import (
    EXTRA,
    GRAPH_FILE,
    SIGNATURE,
    load,
)
from landslide_tf.serving.signatures import (
    REGION,
    further_signatures,
    has_regions,
    some_indices,
    with_mask,
)
from landslide_tf.serving.versions import check_export, free_version

if TYPE_CHECKING:
    import keras

PROBABILITIES = "probabilities"
LOGITS = "logits"

# How far the served values may be from Keras's. Sixteen-bit types: graph and eager
# execution fuse, hence round, differently.
_TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2}
_FULL_TOLERANCE = 1e-5


def export(
    model: keras.Model,
    folder: str | Path,
    *,
    metadata: ModelMetadata,
    version: int | None = None,
    warm_up: int | None = 512,
) -> Path:
    """Writes a model as `folder/<version>/`, complete or not at all.

    The signature `serving_default` takes the model's inputs by name and returns
    `{"probabilities": ...}`; a model whose output is named `logits` is served with
    its softmax (sigmoid for one channel), a model with a dictionary of outputs under
    its own keys. A model with an input `region` also serves the decision, `mask`,
    takes regions by name in the signatures `by_name` and `pair_uint8`, and has its
    names in `assets.extra/regions.json`. A model that fuses branches also serves the
    fusion alone, `fuse`. Where the metadata have a temperature, the
    served probabilities are the calibrated ones. Beside the graph lie
    `assets.extra/model.json`, a model card `README.md` and a warm-up request, which
    TensorFlow Serving runs before it takes traffic. The written model is loaded and
    compared with `model` on a random batch
    of a size of its own before it gets its number.

    Args:
        model: Functional model with named inputs: `image` (batch, height, width,
            bands) and where it has one `factors` (batch, height, width, factors). For
            segmentation its height and width must be unknown.
        folder: The model's folder; versions are numbered folders in it.
        metadata: What `model.json` says; its bands, factors and classes must fit.
        version: Number >= 1; None for the next.
        warm_up: Height and width of the warm-up request in pixels (for a model of
            any size), at best the clients' tile; None for no request.

    Returns:
        The version's folder.

    Raises:
        ModelError: If the model and its metadata do not fit each other or serving.
        RunError: If the version exists, the folder cannot be written, or the written
            model does not give the values of `model`.

    Example:
        >>> import keras
        >>> from landslide_tf import serving
        >>> from landslide_tf.metadata import Band, ModelMetadata
        >>> image = keras.Input((None, None, 1), name="image")
        >>> scores = keras.layers.Conv2D(1, 1, name="logits")(image)
        >>> model = keras.Model(image, scores)
        >>> metadata = ModelMetadata(
        ...     name="tiny",
        ...     builder="none",
        ...     arguments={},
        ...     inputs=[Band(name="gray")],
        ...     classes=["other", "landslide"],
        ...     landslide_class="sigmoid",
        ... )
        >>> serving.export(model, "tiny", metadata=metadata, warm_up=None).name
        '1'
        >>> served = serving.load("tiny")({"image": [[[[1.0], [2.0]]]]})
        >>> served["probabilities"].shape, sorted(served)
        ((1, 1, 2, 1), ['probabilities'])
    """
    _check_inputs(model, metadata)
    _check_outputs(model, metadata)
    folder = Path(folder)
    check_export(folder)
    target = folder / str(free_version(folder, version))
    remove_leftovers(folder)
    try:
        with atomic_folder(target) as temporary:
            _write_graph(model, metadata, temporary)
            _refuse_foreign_operations(temporary)
            extra = temporary / EXTRA
            extra.mkdir()
            write_assets(metadata, model, extra, warm_up)
            _compare(model, metadata, temporary)
    except OSError as error:
        raise RunError(
            f"`{target}` cannot be written ({error.strerror or error}): nothing was "
            "exported; free or name another place."
        ) from error
    return target


def _check_inputs(model: keras.Model, metadata: ModelMetadata) -> None:
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
    known = _channels(metadata)
    for tensor in model.inputs:
        shape = tuple(tensor.shape)
        if tensor.name == REGION:
            continue
        if metadata.task == "segmentation" and shape[1:3] != (None, None):
            raise ModelError(
                f"input `{tensor.name}` of `{model.name}` must have unknown height and "
                f"width to be served at any size, received {shape}: build the model "
                f"with `input_shape=(None, None, {shape[-1]})` and set its weights."
            )
        channels = known.get(tensor.name)
        if channels is not None and len(channels) != shape[-1]:
            names = ", ".join(f"`{c.name}`" for c in channels) or "none"
            raise ModelError(
                f"input `{tensor.name}` of `{model.name}` has {shape[-1]} channels, "
                f"its metadata names {len(channels)} ({names}): mend the metadata."
            )
    given = [tensor.name for tensor in model.inputs]
    if metadata.factors and "factors" not in given:
        raise ModelError(
            f"the metadata of `{model.name}` names factors, its inputs are "
            f"{', '.join(f'`{n}`' for n in given)}: mend the metadata."
        )


def _channels(metadata: ModelMetadata) -> dict[str, Sequence[Band | Factor]]:
    """Returns what the metadata say of the channels of each input."""
    return {"image": metadata.inputs, "factors": metadata.factors}


def _check_outputs(model: keras.Model, metadata: ModelMetadata) -> None:
    outputs = model.output
    if isinstance(outputs, Mapping):
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
            f"the output of `{model.name}` has {channels} channels, its metadata names "
            f"{wanted} (landslide_class `{metadata.landslide_class}`, classes "
            f"{', '.join(metadata.classes)}): mend the metadata."
        )


def _named_outputs(
    model: keras.Model, metadata: ModelMetadata, inputs: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Runs the model and returns what is served, calibrated where it has one output."""
    import keras

    # The model's own structure: Keras warns of a dictionary for a lone input.
    given = keras.tree.map_structure(lambda tensor: inputs[tensor.name], model.input)
    outputs = model(given, training=False)
    if isinstance(outputs, Mapping):
        return dict(outputs)
    if isinstance(outputs, list | tuple):
        (outputs,) = outputs
    outputs = keras.ops.cast(outputs, "float32")
    if model.output_names[0] == LOGITS:
        one = outputs.shape[-1] == 1
        outputs = keras.ops.sigmoid(outputs) if one else keras.ops.softmax(outputs)
    return {PROBABILITIES: _calibrated(outputs, metadata)}


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


def _write_graph(model: keras.Model, metadata: ModelMetadata, folder: Path) -> None:
    # Not `keras.export.ExportArchive`: it writes every variable twice.
    import tensorflow as tf

    specs = {
        tensor.name: tf.TensorSpec(
            (None, *tensor.shape[1:]), tensor.dtype, name=tensor.name
        )
        for tensor in model.inputs
    }

    @tf.function(input_signature=[specs], autograph=False)
    def serve(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        outputs = _named_outputs(model, metadata, inputs)
        return with_mask(outputs, metadata) if has_regions(model) else outputs

    concrete = serve.get_concrete_function()
    module = tf.Module()
    module.weights = list(concrete.variables)
    further = further_signatures(model, serve, module)
    signatures = {SIGNATURE: concrete, **further}
    try:
        tf.saved_model.save(module, str(folder), signatures=signatures)
    except tf.errors.OpError as error:
        raise RunError(
            f"the graph of `{metadata.name}` cannot be written to `{folder.parent}` "
            f"({_first_line(error)}): nothing was exported; free or name another place."
        ) from error


def _refuse_foreign_operations(folder: Path) -> None:
    """Raises where a server without this process's Python could not run the graph."""
    import tensorflow as tf

    foreign = sorted(
        name
        for name in set(operations(folder))
        if "PyFunc" in name or not hasattr(tf.raw_ops, name)
    )
    if foreign:
        raise ModelError(
            "an export may hold operations of core TensorFlow only, received "
            f"{', '.join(f'`{n}`' for n in foreign)}: a layer calls Python or a custom "
            "operation; use `keras.ops`."
        )


def operations(folder: str | Path) -> Iterator[str]:
    """Yields the type of every operation in a SavedModel, its functions' included.

    Args:
        folder: The version's folder, which holds `saved_model.pb`.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((Path(folder) / GRAPH_FILE).read_bytes())
    for graph in (m.graph_def for m in saved.meta_graphs):
        called = {function.signature.name for function in graph.library.function}
        for nodes in (graph.node, *(f.node_def for f in graph.library.function)):
            yield from (node.op for node in nodes if node.op not in called)


def _compare(model: keras.Model, metadata: ModelMetadata, folder: Path) -> None:
    """Raises unless the written model gives the values of the Keras model."""
    inputs = _random_inputs(model, metadata)
    served = load(folder)(inputs)
    keras_values = _compiled_outputs(model, metadata, inputs)
    types = {layer.compute_dtype for layer in model.layers}
    tolerance = max((_TOLERANCE.get(t, _FULL_TOLERANCE) for t in types), default=0.0)
    for name, wanted in keras_values.items():
        got = served[name]
        if not np.isfinite(wanted).all():
            raise RunError(
                f"output `{name}` of `{model.name}` must be finite, received NaN or "
                "infinity on a random batch: its weights are broken; train it again."
            )
        scale = max(1.0, float(np.abs(wanted).max()))
        off = np.inf
        if got.shape == wanted.shape:
            off = float(np.abs(got - wanted).max()) / scale
        if off > tolerance:
            raise RunError(
                f"output `{name}` of the written model must equal that of "
                f"`{model.name}` to {tolerance:g}, received {off:.3g} on a random "
                "batch: a layer computes otherwise where sizes are unknown; nothing "
                "was exported."
            )
    if list(keras_values) == [PROBABILITIES]:
        values = keras_values[PROBABILITIES]
        if values.min() < -_FULL_TOLERANCE or values.max() > 1 + _FULL_TOLERANCE:
            raise ModelError(
                f"the output of `{model.name}` must be probabilities, received values "
                f"from {values.min():.3g} to {values.max():.3g}: name the output layer "
                f"`{LOGITS}` and export adds the softmax."
            )


def _compiled_outputs(
    model: keras.Model,
    metadata: ModelMetadata,
    inputs: Mapping[str, FloatArray | IntArray],
) -> dict[str, FloatArray]:
    """Runs the model as `predict` does, compiled for this very size.

    Not layer by layer: large logits then differ by rounding alone by more than the
    tolerance, and neither training nor prediction runs so.
    """
    import tensorflow as tf

    @tf.function(autograph=False)
    def run(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return _named_outputs(model, metadata, tensors)

    tensors = {name: tf.constant(array) for name, array in inputs.items()}
    outputs = run.get_concrete_function(tensors)(tensors)
    return {name: np.asarray(value) for name, value in outputs.items()}


def _random_inputs(
    model: keras.Model, metadata: ModelMetadata
) -> dict[str, FloatArray | IntArray]:
    """Two examples within the bands' ranges, of a size that no stride divides."""
    random = np.random.default_rng(0)
    channels = _channels(metadata)
    inputs: dict[str, FloatArray | IntArray] = {}
    for tensor in model.inputs:
        if tensor.name == REGION:
            inputs[tensor.name] = some_indices(model, 2)
            continue
        shape = concrete_shape(tensor.shape, 2, (37, 43))
        default = (0.0, 255.0) if tensor.name == "image" else (0.0, 1.0)
        ranges = [c.range or default for c in channels.get(tensor.name, [])]
        low, high = np.transpose(ranges or [default])
        inputs[tensor.name] = random.uniform(low, high, shape).astype(tensor.dtype)
    return inputs


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
