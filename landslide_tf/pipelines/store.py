"""Examples by number, wherever they are, with what the data set says about itself.

Training reads by number: the order of an epoch, a resumed epoch and a sampled epoch
are then only lists of numbers, and nothing is read to be thrown away.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.errors import DataError
from landslide_tf.words import counted

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
        landslide_name: What the labels call the landslide class, if otherwise.
        terrain: How factors were made of elevations, see `metadata.Terrain`, or None.
    """

    name: str
    split: str
    channels: Mapping[str, Channel]
    classes: tuple[str, ...]
    landslide_class: int
    licence: str | None = None
    gsd: float | None = None
    version: str | None = None
    landslide_name: str | None = None
    terrain: Mapping[str, str] | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names as the labels say."""
        names = list(self.classes)
        own = self.landslide_name or names[self.landslide_class]
        names[self.landslide_class] = own
        return tuple(names)


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


class Examples(Sequence[Example]):
    """Examples that are read when they are used, by number or as a range."""

    @abstractmethod
    def example(self, number: int) -> Example:
        """Returns the example of a number, counted from 0."""

    @overload
    def __getitem__(self, number: int) -> Example: ...

    @overload
    def __getitem__(self, number: slice) -> ChosenExamples: ...

    def __getitem__(self, number: int | slice) -> Example | ChosenExamples:
        """Returns an example, or a range of examples."""
        numbers = range(len(self))[number]
        if isinstance(numbers, range):
            return ChosenExamples(self, numbers)
        return self.example(numbers)


class ChosenExamples(Examples):
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

    def example(self, number: int) -> Example:
        """Returns the example of a number, counted from 0."""
        return self._examples[self._numbers[number]]


@dataclass
class ExampleStore:
    """Examples by number, from a built data set, arrays or memory.

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


def full_name(builder: Any) -> str:  # noqa: ANN401 - TFDS's own type
    """Returns `name/config` of a TFDS builder, `name` of one without configurations."""
    config = builder.builder_config
    return f"{builder.name}/{config.name}" if config and config.name else builder.name


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
        landslide_name=metadata.get("landslide_name"),
        terrain=dict(metadata["terrain"]) if metadata.get("terrain") else None,
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
    for raw in examples:
        name, example = tidy(raw, description)
        if name in seen:
            raise DataError(f"`{full}` repeats an id: `{name}`.")
        seen.add(name)
        label = np.asarray(raw[label_name(raw)])
        wrong = (label >= classes) & (label != IGNORE_VALUE)
        if wrong.any():
            raise DataError(
                f"Example `{name}` of `{description.name}`: label value "
                f"{int(label[wrong][0])} is not a class (0..{classes - 1}) or 255."
            )
        yield name, example
    if not seen:
        raise DataError(f"`{full}` has no examples.")


def tidy(example: Example, description: DataDescription) -> tuple[str, Example]:
    """Returns an example as a store holds it.

    Args:
        example: Dictionary with at least `image` (H, W, C), `mask` (H, W) or (H, W, 1),
            or `label` of the whole image, and `id`.
        description: What the data set says about itself.

    Returns:
        The id as text, and the example with its `mask` as uint8 (H, W), or its
        `label` as uint8 ().

    Raises:
        DataError: If the mask has another size than the image.
    """
    key, name = label_name(example), text_of(example["id"])
    label = np.asarray(example[key])
    label = label[..., 0] if label.ndim == 3 else label
    if label.shape != (() if key == "label" else example["image"].shape[:2]):
        raise DataError(
            f"Example `{name}` of `{description.name}`: expected a mask of "
            f"{example['image'].shape[:2]} like its image, received {label.shape}."
        )
    return name, {**example, key: label.astype(np.uint8)}


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


def sample_examples(store: ExampleStore, count: int, seed: int) -> ExampleStore:
    """Draws examples at random; larger draws of one seed contain smaller ones.

    Args:
        store: The examples.
        count: How many, at least 1.
        seed: Seed of the draw.

    Returns:
        A store of `count` examples in their order, one with landslide among them
        where there is any.

    Raises:
        DataError: If there are not as many.
    """
    if not 1 <= count <= len(store):
        full = f"{store.description.name}:{store.description.split}"
        raise DataError(
            f"`{full}` has {counted(len(store), 'example')}: expected from 1 to "
            f"{len(store)} of them, received {count}."
        )
    order = np.random.default_rng(seed).permutation(len(store))
    # The first that shows landslide comes first of all.
    first = int(store.positive[order].argmax())
    chosen = np.concatenate([order[[first]], np.delete(order, first)])[:count]
    return store.subset(sorted(chosen.tolist()))


def text_of(value: bytes | str) -> str:
    """Returns text that TFDS gives as bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)
