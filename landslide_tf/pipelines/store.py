"""Examples by number, with what the data set says about itself.

Training reads by id: the order of an epoch, a resumed epoch and a sampled epoch
are then only lists of numbers, and nothing is read to be thrown away.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import DataError, did_you_mean
from landslide_tf.metadata import IGNORE_VALUE
from landslide_tf.pipelines.image_pairs import joined_pairs

# An example as a TFDS builder gives it; feature names and dtypes vary by data set.
Example = dict[str, Any]


@dataclass(frozen=True)
class Channel:
    """One band of `image` or one channel of `factors`.

    Attributes:
        name: Name in the data set, lower case.
        feature: Feature that holds it, `image` or `factors`.
        index: Its place on the last axis of that feature.
        unit: Unit of the raw values.
        range: Smallest and largest raw value, or None.
        nodata: Raw value that means "no value", or None.
    """

    name: str
    feature: str
    index: int
    unit: str = ""
    range: tuple[float, float] | None = None
    nodata: float | None = None


@dataclass(frozen=True)
class DataDescription:
    """What a data set's metadata says.

    Attributes:
        name: `name/config` of the data set.
        split: Split the examples come from.
        channels: Every band and factor, by name.
        classes: Class names in the order of the label values.
        landslide_class: Label value of the landslide class.
        licence: Licence of the data, as text.
        gsd: Ground cell in metres, or None.
        version: Version of the data set.
    """

    name: str
    split: str
    channels: Mapping[str, Channel]
    classes: tuple[str, ...]
    landslide_class: int
    licence: str | None = None
    gsd: float | None = None
    version: str | None = None


@dataclass(frozen=True)
class Overview:
    """Sizes and labels of examples, which are asked for without their pixels.

    Attributes:
        shapes: Height and width of each example.
        labels: Pixels of each class by example, int64 (examples, classes); of a set
            with a label a whole image, 1 for its class.
    """

    shapes: list[tuple[int, int]]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, examples: Iterable[Example], classes: int) -> Overview:
        """Looks at examples that have an `image`, one after the other."""
        shapes, labels = [], []
        for example in examples:
            height, width = example["image"].shape[:2]
            shapes.append((int(height), int(width)))
            own = np.ravel(example[label_name(example)])
            labels.append(np.bincount(own, minlength=256)[:classes])
        return cls(shapes, np.array(labels, np.int64).reshape(-1, classes))

    def rows(self, numbers: Sequence[int]) -> Overview:
        """Returns what is known of chosen examples."""
        return Overview([self.shapes[n] for n in numbers], self.labels[list(numbers)])


def label_name(example: Example) -> str:
    """Returns `"label"` for examples with a class each, else `"mask"`."""
    return "label" if "label" in example else "mask"


class ChosenExamples(Sequence[Example]):
    """Some examples of a sequence, read when they are used.

    Args:
        examples: The sequence.
        numbers: The chosen ones, in order.
    """

    def __init__(self, examples: Sequence[Example], numbers: Sequence[int]) -> None:
        self._examples = examples
        self._numbers = numbers

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self._numbers)

    @overload
    def __getitem__(self, number: int) -> Example: ...

    @overload
    def __getitem__(self, number: slice) -> ChosenExamples: ...

    def __getitem__(self, number: int | slice) -> Example | ChosenExamples:
        """Returns an example, or a range of examples."""
        if isinstance(number, slice):
            return ChosenExamples(self._examples, self._numbers[number])
        return self._examples[self._numbers[number]]


@dataclass
class ExampleStore:
    """Examples addressed by number, wherever they are: built set, arrays, memory.

    Attributes:
        description: What the data set says about itself.
        ids: Text id of each example, unique.
        examples: The examples, in the order of `ids`; read when they are used.
        known: Sizes and labels, where they have been looked at already.
    """

    description: DataDescription
    ids: list[str]
    examples: Sequence[Example]
    known: Overview | None = field(default=None, repr=False)

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self.ids)

    @cached_property
    def overview(self) -> Overview:
        """Sizes and labels of the examples."""
        if self.known is not None:
            return self.known
        return Overview.of(self.examples, len(self.description.classes))

    @property
    def positive(self) -> NDArray[np.bool_]:
        """Which examples show any landslide, bool (examples,)."""
        return self.overview.labels[:, self.description.landslide_class] > 0

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Height and width of each example."""
        return self.overview.shapes

    @property
    def sizes(self) -> set[tuple[int, int]]:
        """Every (height, width) that occurs."""
        return set(self.shapes)

    def subset(self, numbers: Sequence[int]) -> ExampleStore:
        """Returns a store of chosen examples, in the order given."""
        return ExampleStore(
            self.description,
            [self.ids[n] for n in numbers],
            ChosenExamples(self.examples, numbers),
            None if self.known is None else self.known.rows(numbers),
        )


def split_name(data: str) -> tuple[str, str | None]:
    """Splits `name[/config][:split]` into the data set and the split.

    Args:
        data: As a user writes it.

    Returns:
        `(name[/config], split or None)`.

    Raises:
        DataError: If a part is empty.
    """
    name, colon, split = data.partition(":")
    if not name or (colon and not split):
        raise DataError(
            f"Expected data as `name[/config][:split]`, received `{data}`; "
            "for instance `mmls/clean:test`."
        )
    return name, split or None


def describe(metadata: Mapping[str, Any], name: str, split: str) -> DataDescription:
    """Reads a data set's metadata.

    Args:
        metadata: `builder.info.metadata` of one of the package's builders.
        name: `name/config` of the data set.
        split: Split the description is for.

    Returns:
        The description.

    Raises:
        DataError: If the data set does not declare bands and classes.
    """
    if not metadata or "bands" not in metadata or "classes" not in metadata:
        raise DataError(
            f"Data set `{name}` declares no `bands` and `classes` in its metadata; "
            "use one of the sets of `landslide-tf datasets list`."
        )
    channels: dict[str, Channel] = {}
    for feature, key in (("image", "bands"), ("factors", "factors")):
        for index, entry in enumerate(metadata.get(key) or ()):
            limits = entry.get("range")
            channels[entry["name"]] = Channel(
                name=entry["name"],
                feature=feature,
                index=index,
                unit=entry.get("unit", ""),
                range=tuple(limits) if limits else None,
                nodata=entry.get("nodata"),
            )
    return DataDescription(
        name=name,
        split=split,
        channels=channels,
        classes=tuple(metadata["classes"]),
        landslide_class=int(metadata["landslide_class"]),
        licence=metadata.get("licence"),
        gsd=metadata.get("gsd"),
        version=metadata.get("version"),
    )


def checked_examples(
    examples: Iterable[Example], description: DataDescription
) -> Iterator[tuple[str, Example]]:
    """Yields examples as the store holds them, one at a time.

    Args:
        examples: As for `from_examples`.
        description: What the data set says about itself.

    Yields:
        The id as text, and the example with its `mask` as uint8 (H, W), or its
        `label` as uint8 ().

    Raises:
        DataError: As `from_examples`.
    """
    full = f"{description.name}:{description.split}"
    classes = len(description.classes)
    seen: set[str] = set()
    for example in examples:
        example = dict(example)
        name = example["id"]
        name = name.decode() if isinstance(name, bytes) else str(name)
        if name in seen:
            raise DataError(f"`{full}` repeats an id: `{name}`.")
        seen.add(name)
        key = label_name(example)
        mask = np.asarray(example[key])
        mask = mask[..., 0] if mask.ndim == 3 else mask
        if mask.shape != (() if key == "label" else example["image"].shape[:2]):
            raise DataError(
                f"Example `{name}` of `{description.name}`: expected a mask of "
                f"{example['image'].shape[:2]} like its image, received {mask.shape}."
            )
        wrong = (mask >= classes) & (mask != IGNORE_VALUE)
        if wrong.any():
            raise DataError(
                f"Example `{name}` of `{description.name}`: label value "
                f"{int(mask[wrong][0])} is not a class (0..{classes - 1}) or 255."
            )
        example[key] = mask.astype(np.uint8)
        yield name, example
    if not seen:
        raise DataError(f"`{full}` has no examples.")


def from_examples(
    examples: Iterable[Example], description: DataDescription
) -> ExampleStore:
    """Holds examples in memory.

    Args:
        examples: Dictionaries with at least `image` (H, W, C), `mask` (H, W) or
            (H, W, 1), or `label` of the whole image, and `id`.
        description: What the data set says about itself.

    Returns:
        The store, `mask` as uint8 (H, W), `label` as uint8 ().

    Raises:
        DataError: If there is no example, two share an id, a mask has another size
            than its image, or a label is neither a class nor 255.
    """
    ids, kept = zip(*checked_examples(examples, description), strict=True)
    return ExampleStore(description, list(ids), list(kept))


def load(
    data: str,
    *,
    split: str | None = None,
    data_dir: str | Path | None = None,
    manual_dir: str | Path | None = None,
) -> ExampleStore:
    """Loads a split of a data set, building the set first where it is missing.

    Args:
        data: `name[/config][:split]` of a registered TFDS builder.
        split: Split to load where `data` names none.
        data_dir: Folder of built data sets; None = TFDS's own (`TFDS_DATA_DIR`).
        manual_dir: Folder with files the user has to provide.

    Returns:
        The examples in memory.

    Raises:
        DataError: If the data set or the split is unknown, or cannot be built.
    """
    return from_examples(
        *open_split(data, split=split, data_dir=data_dir, manual_dir=manual_dir)
    )


def open_split(
    data: str,
    *,
    split: str | None = None,
    data_dir: str | Path | None = None,
    manual_dir: str | Path | None = None,
) -> tuple[Iterable[Example], DataDescription]:
    """Opens a split of a data set, building the set first where it is missing.

    Args:
        data: As for `load`.
        split: As for `load`.
        data_dir: As for `load`.
        manual_dir: As for `load`.

    Returns:
        The examples, read one after the other in a fixed order, and what the data set
        says about itself. Image pairs are joined as by `joined_pairs`.

    Raises:
        DataError: As `load`.
    """
    import tensorflow_datasets as tfds

    name, named_split = split_name(data)
    split = named_split or split
    builder = prepared_builder(name, data_dir=data_dir, manual_dir=manual_dir)
    if split is None or split.split("[")[0] not in builder.info.splits:
        hint = did_you_mean(split or "", builder.info.splits)
        raise DataError(f"Data set `{name}` has no split `{split}`.{hint}")
    metadata = dict(builder.info.metadata or {})
    metadata["version"] = str(builder.version)
    full = f"{builder.name}/{builder.builder_config.name}"
    if not builder.builder_config.name:
        full = builder.name
    # In file order, so that example numbers mean the same in every process.
    read = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    try:
        opened = builder.as_dataset(split=split, shuffle_files=False, read_config=read)
    except ValueError as error:  # TFDS's word for a slice that the split has not
        line = str(error).strip().splitlines()[0]
        raise DataError(f"Data set `{name}`, split `{split}`: {line}") from error
    return joined_pairs(tfds.as_numpy(opened), describe(metadata, full, split))


def find_builder(name: str, *, data_dir: str | Path | None = None) -> Any:  # noqa: ANN401
    """Returns the TFDS builder of a data set (TFDS's own type, imported late).

    Args:
        name: `name[/config]`, or the folder of a built set (with `dataset_info.json`).
        data_dir: Folder of built data sets.

    Returns:
        A `tfds.core.DatasetBuilder`.

    Raises:
        DataError: If there is no such data set or configuration.
    """
    import tensorflow_datasets as tfds

    if Path(name, "dataset_info.json").is_file():
        return tfds.builder_from_directory(name)
    short, _, config = name.partition("/")
    known = tfds.list_builders(with_community_datasets=False)
    if short not in known:
        raise DataError(f"There is no data set `{short}`.{did_you_mean(short, known)}")
    configs = [c.name for c in tfds.builder_cls(short).BUILDER_CONFIGS]
    if config and config not in configs:
        hint = did_you_mean(config, configs)
        raise DataError(f"Data set `{short}` has no configuration `{config}`.{hint}")
    return tfds.builder(name, data_dir=data_dir)


def prepared_builder(
    name: str,
    *,
    data_dir: str | Path | None = None,
    manual_dir: str | Path | None = None,
    beam_runner: str | None = None,
) -> Any:  # noqa: ANN401 - TFDS's own type, imported late
    """Returns the TFDS builder of a data set, built where it was missing.

    Args:
        name: `name[/config]`.
        data_dir: Folder of built data sets.
        manual_dir: Folder with files the user has to provide.
        beam_runner: As for `build`.

    Returns:
        A `tfds.core.DatasetBuilder`.

    Raises:
        DataError: If the data set is unknown or cannot be built.
    """
    builder = find_builder(name, data_dir=data_dir)
    if not builder.is_prepared():
        build(builder, manual_dir=manual_dir, beam_runner=beam_runner)
    return builder


def build(
    builder: Any,  # noqa: ANN401 - TFDS's own type, imported late
    *,
    manual_dir: str | Path | None = None,
    beam_runner: str | None = None,
) -> None:
    """Builds a data set.

    Args:
        builder: A `tfds.core.DatasetBuilder`.
        manual_dir: Folder with files the user has to provide.
        beam_runner: Apache Beam runner to build on, for instance `DirectRunner`;
            None = in this process.

    Raises:
        DataError: If files are missing or corrupt.
    """
    import tensorflow_datasets as tfds

    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    config = tfds.download.DownloadConfig(
        manual_dir=str(manual_dir) if manual_dir else None, beam_runner=beam_runner
    )
    try:
        builder.download_and_prepare(download_config=config)
    except DataError:
        raise
    except (AssertionError, OSError) as error:
        line = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise DataError(f"Data set `{builder.name}` cannot be built: {line}") from error
