"""`model.json`: what a model takes and gives, for every consumer of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from landslide_tf.array_types import Tensor
from landslide_tf.choices import Derive, Distances, Edges, Kernel, Method, TaskKind
from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.errors import ModelError, RunError, warn
from landslide_tf.files import write_text

if TYPE_CHECKING:
    import keras
    import tensorflow_datasets as tfds

SCHEMA_VERSION: Final = 2
FILE_NAME = "model.json"

# How version 1 wrote that values in `reflectance` are multiplied: `reflectance * 255`.
_SCALED_UNIT = re.compile(r"(.*?)\s*\*\s*([\d.]+(?:e[+-]?\d+)?)", re.IGNORECASE)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Band(_Strict):
    """One channel of the `image` input.

    The model takes a value of the band in `unit`, times `scale`.
    """

    name: str
    unit: str = Field("", description="unit of the band, empty = a count as stored")
    scale: Annotated[float, Field(gt=0)] = 1.0
    range: tuple[float, float] | None = Field(
        None, description="smallest and largest value that the model takes"
    )


class Factor(_Strict):
    """One channel of the `factors` input."""

    name: str
    unit: str = Field("", description="unit of the raw values")
    range: tuple[float, float] | None = None
    branch: str = Field("", description="branch of the network, where it has several")


class Terrain(_Strict):
    """How slope and aspect are made from an elevation model.

    Fields are the keyword arguments of `terrain.factors_on_grid`.
    """

    derive: Derive = "after"
    resampling: Kernel = "cubic"
    edges: Edges = "compute"
    method: Method = "horn"
    distances: Distances = "grid"


class ModelMetadata(_Strict):
    """Everything a consumer of a trained model has to know.

    `landslide_class` is the index of the landslide class, or `"sigmoid"` where the
    model has one output channel with the landslide probability itself.
    """

    schema_version: Literal[2] = SCHEMA_VERSION
    name: str
    builder: str
    arguments: dict[str, Any]  # JSON values; their types are the builder's
    task: TaskKind = "segmentation"
    inputs: list[Band]
    factors: list[Factor] = []
    terrain: Terrain | None = None
    cell_size: tuple[float, float] | None = Field(
        None, description="smallest and largest ground cell of training, metres"
    )
    stride: Annotated[int, Field(ge=1)] = 1
    tile: Annotated[int, Field(ge=1)] | None = Field(
        None, description="rows or columns of the largest training example"
    )
    classes: list[str]
    landslide_class: int | Literal["sigmoid"]
    landslide_name: str | None = Field(
        None, description="what the labels call the landslide class, if otherwise"
    )
    ignore_value: int = IGNORE_VALUE
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    temperature: float | dict[str, float] | None = None
    dataset: str | None = None
    split: str | None = None
    licence: str | None = None
    metrics: dict[str, Any] = {}  # nested tables of numbers, as evaluate wrote them
    versions: dict[str, str] = {}
    command: str | None = None

    @model_validator(mode="after")
    def _check_landslide_class(self) -> ModelMetadata:
        index = self.landslide_class
        if index != "sigmoid" and not 0 <= index < len(self.classes):
            raise ValueError(
                f"`landslide_class` must be below {len(self.classes)} (the number of "
                f"classes) or 'sigmoid', received {index}"
            )
        return self

    @property
    def class_names(self) -> list[str]:
        """Names of the values of a class map, as the labels of the training say."""
        names = list(self.classes)
        if self.landslide_class == "sigmoid":
            names = names if len(names) > 1 else ["other", *names]
        names[self.landslide_value] = self.landslide_name or names[self.landslide_value]
        return names

    @property
    def landslide_value(self) -> int:
        """Value of the landslide class in a class map."""
        return 1 if self.landslide_class == "sigmoid" else self.landslide_class

    def write(self, folder: str | Path) -> Path:
        """Writes `model.json` into a folder and returns its path."""
        path = Path(folder) / FILE_NAME
        write_text(path, self.model_dump_json(indent=2) + "\n")
        return path

    @classmethod
    def read(cls, path: str | Path) -> ModelMetadata:
        """Reads a `model.json` of this version or an earlier one.

        Args:
            path: The file, or the folder that holds it.

        Returns:
            The validated metadata.

        Raises:
            RunError: If the file is missing or not valid.
        """
        path = Path(path)
        if path.is_dir():
            path = path / FILE_NAME
        if not path.is_file():
            raise RunError(f"`{path}` does not exist: not a run or an export folder.")
        try:
            return cls.model_validate(_upgraded(json.loads(path.read_text("utf-8"))))
        except ValueError as error:  # no text, no JSON, or other keys
            first = str(error).splitlines()
            raise RunError(f"`{path}` is not a valid model.json: {first[0]}") from error


def _upgraded(content: object) -> object:
    """Returns the content of a `model.json` of any version as that of this one.

    Version 1 wrote the factor of a band into its unit, as text.
    """
    if not isinstance(content, dict) or content.get("schema_version", 1) != 1:
        return content
    content = content | {"schema_version": SCHEMA_VERSION}
    if isinstance(content.get("inputs"), list):
        content["inputs"] = [_with_scale(band) for band in content["inputs"]]
    return content


def _with_scale(band: object) -> object:
    found = isinstance(band, dict) and _SCALED_UNIT.fullmatch(str(band.get("unit", "")))
    if not (isinstance(band, dict) and found):
        return band
    return band | {"unit": found[1], "scale": float(found[2])}


def describe(
    model: keras.Model,
    info: tfds.core.DatasetInfo | None = None,
    *,
    landslide_class: int | Literal["sigmoid"] | None = None,
) -> ModelMetadata:
    """Derives `model.json` for a model that was trained without this package.

    Args:
        model: Functional Keras model with an input `image`, or one input of any name,
            perhaps `factors`, and one output (or `main` or `probabilities` of several)
            of classes in its last axis.
        info: `builder.info` of the data that it was fitted on. Metadata of this
            package's builders give names, units and ranges of bands and factors; of
            other sets the names of a class label are taken.
        landslide_class: Index of the landslide class; `"sigmoid"` where the one output
            channel is its probability. None takes it from `info`, else `"sigmoid"` for
            one channel and 1 for two, with a warning.

    Returns:
        The metadata; what is not known of a model is left out.

    Raises:
        ModelError: If inputs or outputs are not of this form, or nothing says which of
            several classes is landslide.

    Example:
        >>> import keras
        >>> from landslide_tf.metadata import describe
        >>> image = keras.Input((None, None, 3), name="image")
        >>> scores = keras.layers.Conv2D(4, 1, activation="softmax")(image)
        >>> found = describe(keras.Model(image, scores), landslide_class=2)
        >>> found.task, found.classes[found.landslide_value]
        ('segmentation', 'class 2')
    """
    inputs, output = _tensors(model)
    channels = int(output.shape[-1])
    known = dict(getattr(info, "metadata", None) or {})
    index = landslide_class
    if index is None:
        index = "sigmoid" if channels == 1 else known.get("landslide_class")
    if index is None and channels == 2:
        index = 1
        warn(
            f"class 1 of the two of `{model.name}` is taken for landslide: say so with "
            "`metadata=landslide_tf.metadata.describe(model, landslide_class=…)`.",
        )
    if index is None:
        raise ModelError(
            f"which of the {channels} classes of `{model.name}` is landslide is not "
            "known: pass `metadata=landslide_tf.metadata.describe(model, "
            "landslide_class=…)`."
        )
    fields: dict[str, object] = {
        "name": str(model.name),
        "builder": type(model).__name__,
        "arguments": {},
        "task": "segmentation" if len(output.shape) == 4 else "classification",
        "inputs": _bands(inputs["image"], known.get("bands"), "band"),
        "factors": _bands(inputs.get("factors"), known.get("factors"), "factor"),
        "terrain": known.get("terrain"),
        "cell_size": known.get("gsd") and (known["gsd"], known["gsd"]),
        "classes": _class_names(channels, known, info),
        "landslide_class": index,
        "dataset": getattr(info, "full_name", None),
        "licence": known.get("licence"),
    }
    try:
        return ModelMetadata.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelError(
            f"`{model.name}` cannot be described: {first['msg']}."
        ) from error


def _tensors(model: keras.Model) -> tuple[dict[str, Tensor], Tensor]:
    """Returns the symbolic inputs by name, `image` among them, and the output."""
    tensors = getattr(model, "inputs", None) or []
    inputs = {t.name: t for t in tensors}
    if len(tensors) == 1:
        inputs = {"image": tensors[0]}
    if "image" not in inputs:
        raise ModelError(
            f"`{getattr(model, 'name', type(model).__name__)}` must be a functional "
            "Keras model with an input named `image`, received the inputs "
            f"{', '.join(f'`{n}`' for n in inputs) or 'none'}: build it with "
            '`keras.Input(shape, name="image")`.'
        )
    # A Sequential has a list alone.
    outputs = model.outputs if len(model.outputs) == 1 else model.output
    if isinstance(outputs, Mapping):
        wanted = [n for n in ("main", "probabilities") if n in outputs]
        outputs = [outputs[wanted[0]]] if wanted else []
    if isinstance(outputs, list | tuple):
        if len(outputs) != 1:
            raise ModelError(
                f"`{model.name}` must have one output, or `main` or `probabilities` in "
                f"a dictionary of them, received {len(model.outputs)} outputs."
            )
        (outputs,) = outputs
    return inputs, outputs


def _bands(
    tensor: Tensor | None, known: Sequence[Mapping[str, object]] | None, what: str
) -> list[dict[str, object]]:
    """Returns name, unit and range of each channel, as far as they are known."""
    if tensor is None:
        return []
    channels = int(tensor.shape[-1])
    if known and len(known) == channels:
        return [
            {k: entry[k] for k in ("name", "unit", "range") if k in entry}
            for entry in known
        ]
    return [{"name": f"{what} {number}"} for number in range(1, channels + 1)]


def _class_names(
    channels: int, known: Mapping[str, Any], info: tfds.core.DatasetInfo | None
) -> list[str]:
    """Returns the names of the classes from a data set's information, or numbers."""
    wanted = 2 if channels == 1 else channels
    candidates = [known.get("classes")]
    features = getattr(info, "features", None) or {}
    candidates += [getattr(feature, "names", None) for feature in features.values()]
    for names in candidates:
        if names and len(names) == wanted:
            return [str(name) for name in names]
    if channels == 1:
        return ["other", "landslide"]
    return [f"class {index}" for index in range(channels)]
