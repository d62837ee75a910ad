"""Built TFDS sets as example stores: found, built where missing, read by number."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.errors import DataError, did_you_mean, first_line
from landslide_tf.pipelines.store import (
    DataDescription,
    Example,
    Examples,
    ExampleStore,
    Overview,
    describe,
    full_name,
    tidy,
)
from landslide_tf.pipelines.tfrecord_index import Decode, RecordIndex, open_index

PAIR = ("pre", "post")
_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
# Bytes of decoded examples that a store keeps: a few hundred tiles are read once.
KEPT = 2**28


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


def load(
    data: str,
    *,
    split: str | None = None,
    data_dir: str | Path | None = None,
    manual_dir: str | Path | None = None,
    labelled: bool = True,
) -> ExampleStore:
    """Opens a split of a data set, building the set first where it is missing.

    Args:
        data: `name[/config][:split]` of a registered TFDS builder, or the folder of a
            built set.
        split: Split to open where `data` names none.
        data_dir: Folder of built data sets; None = TFDS's own (`TFDS_DATA_DIR`).
        manual_dir: Folder with files the user has to provide.
        labelled: Whether labels are needed; without, every pixel is ignored.

    Returns:
        The examples, read from the set's files when they are used. Image pairs are
        joined into one image, whose bands are named such as `pre_red`, `post_blue`.

    Raises:
        DataError: If the data set or the split is unknown, cannot be built, or holds
            what is not valid.
    """
    name, named_split = split_name(data)
    split = named_split or split
    builder = prepared_builder(name, data_dir=data_dir, manual_dir=manual_dir)
    if split is None or split.split("[")[0] not in builder.info.splits:
        hint = did_you_mean(split or "", builder.info.splits)
        raise DataError(f"Data set `{name}` has no split `{split}`.{hint}")
    metadata = dict(builder.info.metadata or {})
    metadata["version"] = str(builder.version)
    description = describe(metadata, full_name(builder), split)
    features = builder.info.features
    if "image" not in features and all(part in features for part in PAIR):
        description = joined_bands(description)
    index, chosen = _records_of(builder, name, split)
    _check(index, chosen, description, labelled)
    examples = RecordExamples(index, _decoder(features), description, labelled)
    known = Overview(
        [(int(height), int(width)) for height, width in index.shapes],
        index.labels[:, : len(description.classes)].astype(np.int64)
        if labelled
        else np.zeros((len(index.ids), len(description.classes)), np.int64),
    )
    whole = ExampleStore(description, index.ids.tolist(), examples, known)
    return whole.subset(chosen)


class RecordExamples(Examples):
    """Examples of a built set, decoded when they are used.

    Args:
        index: Where they are.
        decode: Decodes a record.
        description: What the data set says about itself.
        labelled: Whether their labels are read; without, every pixel is ignored.
    """

    def __init__(
        self,
        index: RecordIndex,
        decode: Decode,
        description: DataDescription,
        labelled: bool = True,
    ) -> None:
        self._index = index
        self._decode = decode
        self._description = description
        self._labelled = labelled
        self._kept: dict[int, Example] = {}
        self._free = KEPT

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self._index.ids)

    def example(self, number: int) -> Example:
        """Returns the example of a number, its arrays read-only."""
        found = self._kept.get(number)
        if found is None:
            found = self._read(number)
            size = sum(v.nbytes for v in found.values() if isinstance(v, np.ndarray))
            if size <= self._free:
                self._free -= size
                self._kept[number] = found
        return dict(found)

    def _read(self, number: int) -> Example:
        try:
            example = dict(self._decode(self._index.read(number)))
        except DataError:
            raise
        except Exception as error:  # whatever the decoders of damaged bytes raise
            line = " ".join(str(error).split())[:200]
            raise DataError(
                f"Example `{self._index.ids[number]}` of `{self._description.name}` "
                f"cannot be decoded ({line}); build the set anew."
            ) from error
        example = joined_pair(example)
        if not self._labelled:
            example = hidden(example)
        _, example = tidy(example, self._description)
        for value in example.values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        return example


def hidden(example: Example) -> Example:
    """Returns an example whose pixels are all ignored, whatever its labels were."""
    kept = {k: v for k, v in example.items() if k not in ("mask", "label")}
    size = example["image"].shape[:2]
    return {**kept, "mask": np.full(size, IGNORE_VALUE, np.uint8)}


def joined_pair(example: Example) -> Example:
    """Returns an example with `pre` and `post` joined into `image`, if it has them."""
    if "image" in example or not set(PAIR) <= example.keys():
        return example
    others = {k: v for k, v in example.items() if k not in PAIR}
    return {"image": np.concatenate([example[t] for t in PAIR], axis=-1), **others}


def joined_bands(description: DataDescription) -> DataDescription:
    """Returns the description of pairs joined by `joined_pair`."""
    bands = [c for c in description.channels.values() if c.feature == "image"]
    joined = {
        f"{time}_{band.name}": replace(
            band, name=f"{time}_{band.name}", index=band.index + part * len(bands)
        )
        for part, time in enumerate(PAIR)
        for band in bands
    }
    factors = {k: c for k, c in description.channels.items() if c.feature != "image"}
    return replace(description, channels={**joined, **factors})


def _decoder(features: Mapping[str, Any], names: Iterable[str] | None = None) -> Decode:
    """Returns a function that decodes some features of a record, without TensorFlow."""
    import tensorflow_datasets as tfds

    wanted = {name: features[name] for name in names or features}
    chosen = tfds.features.FeaturesDict(wanted)
    images = [n for n, f in wanted.items() if isinstance(f, tfds.features.Image)]
    skipped = {name: tfds.decode.SkipDecoding() for name in images}
    numbers = {
        name: np.dtype(feature.np_dtype).type
        for name, feature in wanted.items()
        if feature.shape == () and np.dtype(feature.np_dtype).kind in "biuf"
    }

    def decode(data: bytes) -> Example:
        found: Example = chosen.deserialize_example_np(data, decoders=skipped)
        for name in images:
            coded, feature = found[name], wanted[name]
            # GDAL does not mind where an image ends too early.
            whole = coded.startswith(_PNG) and coded.endswith(_PNG_END)
            if whole and feature.np_dtype == np.uint8:
                found[name] = _decoded_png(coded)
            else:
                found[name] = feature.decode_example_np(coded)
        return {k: numbers[k](v) if k in numbers else v for k, v in found.items()}

    return decode


def _decoded_png(data: bytes) -> NDArray[np.uint8]:
    """Returns an 8-bit image (H, W, C), each channel lying together.

    GDAL takes half of Pillow's time and lets other threads run.
    """
    from rasterio.io import MemoryFile

    folder = uuid.uuid4().hex
    with (
        # Where an image lies, without which there would be a warning.
        MemoryFile(b"1\n0\n0\n-1\n0\n0\n", dirname=folder, filename="image.wld"),
        MemoryFile(data, dirname=folder, filename="image.png") as file,
        file.open(driver="PNG") as image,
    ):
        return np.moveaxis(image.read(), 0, -1)


def _records_of(
    builder: Any,  # noqa: ANN401 - TFDS's own type, imported late
    name: str,
    split: str,
) -> tuple[RecordIndex, list[int]]:
    """Returns the index of the split that a slice is of, and the slice's records."""
    kind = builder.info.file_format
    if kind is not None and kind.value != "tfrecord":
        raise DataError(
            f"Data set `{name}` is stored as `{kind.value}`, expected `tfrecord`."
        )
    try:
        parts = builder.info.splits[split].file_instructions
    except ValueError as error:  # TFDS's word for a slice that the split has not
        line = first_line(error)
        raise DataError(f"Data set `{name}`, split `{split}`: {line}") from error
    whole = builder.info.splits[split.split("[")[0]]
    files = [Path(path) for path in whole.filepaths]
    features = builder.info.features
    key = "label" if "label" in features else "mask"
    labelled = key in features
    names = ["id", key] if key == "mask" and labelled else list(features)
    index = open_index(
        Path(builder.data_dir), whole.name, files, _decoder(features, names), labelled
    )
    first = np.searchsorted(index.shard, range(len(files)))
    start = {str(path): int(number) for path, number in zip(files, first, strict=True)}
    chosen: list[int] = []
    for part in parts:
        begin = start[str(Path(part.filename))] + part.skip
        chosen += range(begin, begin + part.take)
    if not chosen:
        raise DataError(f"Data set `{name}`, split `{split}`: there are no examples.")
    return index, chosen


def _check(
    index: RecordIndex,
    chosen: Sequence[int],
    description: DataDescription,
    labelled: bool,
) -> None:
    """Raises DataError for repeated ids, and for labels that are no class."""
    full = f"{description.name}:{description.split}"
    ids = index.ids[list(chosen)]
    names, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise DataError(f"`{full}` repeats an id: `{names[counts > 1][0]}`.")
    if not labelled:
        return
    if not index.labels.shape[1]:
        raise DataError(f"`{full}` has neither masks nor labels.")
    classes = len(description.classes)
    wrong = index.labels[list(chosen), classes:IGNORE_VALUE] > 0
    if wrong.any():
        row, value = np.argwhere(wrong)[0]
        raise DataError(
            f"Example `{ids[row]}` of `{description.name}`: label value "
            f"{classes + value} is not a class (0..{classes - 1}) or 255."
        )


def find_builder(name: str, *, data_dir: str | Path | None = None) -> Any:  # noqa: ANN401
    """Returns the TFDS builder of a data set (TFDS's own type, imported late).

    Args:
        name: `name[/config]`, or the folder of a built set (with `dataset_info.json`).
        data_dir: Folder of built data sets.

    Returns:
        A `tfds.core.DatasetBuilder`, of an older version that is there if it may be.

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
    builder = tfds.builder(name, data_dir=data_dir)
    for version in () if builder.is_prepared() else builder.supported_versions:
        if (builder.data_path.parent / str(version)).exists():
            return tfds.builder(f"{name}:{version}", data_dir=data_dir)
    return builder


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
        beam_runner: Apache Beam runner, as `DirectRunner`; None = in this process.

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
    except (AssertionError, OSError) as error:
        line = first_line(error)
        raise DataError(f"Data set `{builder.name}` cannot be built: {line}") from error
