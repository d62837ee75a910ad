"""A Keras model as a numbered version: a SavedModel, or a file of another format."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from landslide_tf.choices import Format, Precision
from landslide_tf.errors import ModelError, RunError, first_line
from landslide_tf.files import atomic_folder, remove_leftovers
from landslide_tf.metadata import ModelMetadata, describe
from landslide_tf.serving.assets import write_assets
from landslide_tf.serving.conversion import Arrays
from landslide_tf.serving.keras_weights import check_weights, write_weights
from landslide_tf.serving.network import Network
from landslide_tf.serving.portable import check_portable, write_portable
from landslide_tf.serving.served_model import EXTRA
from landslide_tf.serving.signatures import Signatures, chosen
from landslide_tf.serving.verification import Expected, refuse_foreign_operations
from landslide_tf.serving.versions import (
    check_export,
    free_version,
    is_remote,
    upload,
)

if TYPE_CHECKING:
    import keras

MAX_PIXELS = 4096 * 4096


def export(
    model: keras.Model,
    folder: str | Path,
    *,
    metadata: ModelMetadata | None = None,
    version: int | None = None,
    warm_up: int | None = 512,
    signatures: Iterable[str] | None = None,
    max_pixels: int | None = MAX_PIXELS,
    format: Format = "saved_model",
    precision: Precision = "float32",
    size: tuple[int, int] | None = None,
    calibration: Sequence[Arrays] = (),
) -> str | Path:
    """Writes a model as `folder/<version>/`, complete or not at all.

    The signature `serving_default` takes the model's inputs by name, raw float32
    values, and returns `{"probabilities": ...}`; a model whose output is named `logits`
    is served with its softmax (sigmoid for one channel), a model with a dictionary of
    outputs under its own keys, or with `main` of them as `probabilities`. Where the
    metadata have a temperature, the served probabilities are the calibrated ones.
    Further signatures take bytes and give small answers (docs/serving.md): `mask`,
    `landslide` and `valid` of `predict_uint8`, `predict_image_bytes` and `predict_dem`;
    of several regions `by_name` and `pair_uint8`; of fused branches `fuse`. Each checks
    its request in the graph and refuses what does not fit as `InvalidArgument`; pixels
    that are not finite count as pixels without a value, 0 in all bands.

    Beside the graph lie `assets.extra/model.json`, a model card `README.md`, the STAC
    item `model.stac.json` (Machine Learning Model extension), the names of regions and
    a warm-up request, which TensorFlow Serving runs before it takes traffic. The
    written model is loaded and compared with `model` on a random batch of a size of its
    own before it gets its number.

    Args:
        model: Functional model with named inputs: `image` (batch, height, width,
            bands) and where it has one `factors` (batch, height, width, factors); a
            lone input is the image, whatever its name. Where its height and width are
            unknown, it is served at any size.
        folder: The model's folder; versions are numbered folders in it. Local, or an
            address that `tf.io.gfile` opens, such as `"gs://bucket/model"`, as text.
        metadata: What `model.json` says; its bands, factors and classes must fit. None
            is `metadata.describe(model)`, for one's own models.
        version: Number >= 1; None for the next.
        warm_up: Height and width of the warm-up request in pixels (for a model of
            any size), at best the clients' tile; None for no request.
        signatures: Which to write beside `serving_default`; None = all that the model
            can have.
        max_pixels: Most pixels of a request, batch x height x width, the batch as the
            server has put it together; None = any number.
        format: `saved_model`; of another runtime: `onnx`, `openvino`, `litert`, or
            `deepness`, ONNX as the QGIS plug-in of that name takes it; or `weights`, a
            `.weights.h5` file for Keras. The version then holds the file and
            `model.json`, and `warm_up`, `signatures` and `max_pixels` have no meaning.
        precision: Of another runtime's weights, and of its arithmetic where it has
            such: `float32`, `float16`, `bfloat16` (OpenVINO), `int8`; of a file for
            Keras the first two. A SavedModel keeps the model's own types.
        size: Height and width in pixels of another runtime's graph; None keeps any.
        calibration: Inputs by name, arrays (batch, height, width, channels), from which
            `int8` takes the ranges of values.

    Returns:
        The version's folder, an address as text.

    Raises:
        DataError: If the folder holds anything but versions.
        ModelError: If the model and its metadata do not fit each other or serving.
        RunError: If the version exists, the folder cannot be written, or the written
            model does not give the values of `model`.

    Example:
        >>> import keras
        >>> from landslide_tf import serving
        >>> image = keras.Input((None, None, 1), name="image")
        >>> scores = keras.layers.Conv2D(1, 1, name="logits")(image)
        >>> model = keras.Model(image, scores)
        >>> serving.export(model, "tiny", warm_up=None).name
        '1'
        >>> served = serving.load("tiny")({"image": [[[[1.0], [2.0]]]]})
        >>> served["probabilities"].shape, sorted(served)
        ((1, 1, 2, 1), ['probabilities'])
    """
    if metadata is None:
        metadata = describe(model)
    if not isinstance(metadata, ModelMetadata):
        raise ModelError(
            "`metadata` must be a `ModelMetadata`, or None, received "
            f"`{type(metadata).__name__}`: make it with "
            "`landslide_tf.metadata.describe`."
        )
    network = Network(model, metadata)
    if format == "saved_model":
        _check_saved_model(precision, size, calibration)
        names = chosen(network, signatures)
        _check_max_pixels(max_pixels, network, warm_up)
    elif format == "weights":
        check_weights(network, precision, size, calibration)
    else:
        check_portable(network, format, precision, size, calibration)
    check_export(folder)
    number = free_version(folder, version)

    def fill(temporary: Path) -> None:
        if format == "weights":
            write_weights(network, temporary, precision)
            return
        if format != "saved_model":
            write_portable(network, temporary, format, precision, size, calibration)
            return
        _write_graph(network.folded(), names, max_pixels, temporary)
        refuse_foreign_operations(temporary)
        extra = temporary / EXTRA
        extra.mkdir()
        write_assets(network, names, extra, warm_up)
        expected = Expected(network)
        if not expected.is_served_by(temporary):
            # Very large logits show how the weights of a folded layer are rounded.
            _remove_graph(temporary)
            _write_graph(network, names, max_pixels, temporary)
            expected.check(temporary)

    if is_remote(folder):
        address = f"{str(folder).rstrip('/')}/{number}"
        with tempfile.TemporaryDirectory() as local:
            fill(Path(local))
            upload(Path(local), address)
        return address
    target = Path(folder) / str(number)
    remove_leftovers(folder)
    try:
        with atomic_folder(target) as temporary:
            fill(temporary)
    except OSError as error:
        raise RunError(
            f"`{target}` cannot be written ({error.strerror or error}): nothing was "
            "exported; free or name another place."
        ) from error
    return target


def _check_saved_model(
    precision: Precision, size: tuple[int, int] | None, calibration: Sequence[Arrays]
) -> None:
    if precision != "float32" or size is not None or len(calibration):
        raise ModelError(
            "A SavedModel keeps the model's types and takes any size: `precision`, "
            "`size` and `calibration` are for other formats."
        )


def _check_max_pixels(value: int | None, network: Network, warm_up: int | None) -> None:
    if value is None:
        return
    if isinstance(value, bool) or int(value) != value or value < 1:
        raise ModelError(
            f"`max_pixels` must be a whole number >= 1, or None, received `{value}`."
        )
    least = network.least_pixels(warm_up)
    if value < least:
        raise ModelError(
            f"`max_pixels` must be at least {least}, which the comparison and the "
            f"warm-up request have, received {value}: raise it, or lower `warm_up`."
        )


def _remove_graph(folder: Path) -> None:
    """Leaves only what describes the export."""
    for path in folder.iterdir():
        if path.name == EXTRA:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _write_graph(
    network: Network, names: Iterable[str], max_pixels: int | None, folder: Path
) -> None:
    # Not `keras.export.ExportArchive`: it writes every variable twice.
    import tensorflow as tf

    module = tf.Module()
    served = Signatures(network, module, max_pixels)
    signatures = served.made(names)
    module.weights = list(served.run.variables)
    module.network = served.run  # says the shapes of the inputs to who loads it
    try:
        tf.saved_model.save(module, str(folder), signatures=signatures)
    except tf.errors.OpError as error:
        raise RunError(
            f"the graph of `{network.name}` cannot be written to `{folder.parent}` "
            f"({first_line(error)}): nothing was exported; free or name another place."
        ) from error
