"""Examples as memory-mapped arrays: read by number, on every backend of Keras.

A folder of one split holds `arrays.json` and one NumPy file a feature. Where all
examples have one size, the file holds an array with the examples on its first axis;
else it holds the values of all examples one after the other, and
`<feature>.shapes.npy` their shapes. Neither TensorFlow nor TensorFlow Datasets is
needed to read it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from landslide_tf.errors import DataError, did_you_mean
from landslide_tf.files import atomic_folder, sha256, write_text
from landslide_tf.outputs import check_apart, check_own_folder
from landslide_tf.pipelines.built_sets import (
    find_builder,
    load,
    prepared_builder,
    split_name,
)
from landslide_tf.pipelines.feature_files import Column, ColumnWriter, open_column
from landslide_tf.pipelines.store import (
    DataDescription,
    Example,
    Examples,
    ExampleStore,
    checked_examples,
    full_name,
)
from landslide_tf.progress import with_progress
from landslide_tf.words import counted

INDEX = "arrays.json"
_SLICE = re.compile(
    r"(?P<name>[\w-]+)(\[((?P<start>-?\d+)(?P<start_percent>%)?)?"
    r":((?P<end>-?\d+)(?P<end_percent>%)?)?\])?"
)


@dataclass(frozen=True)
class _Index:
    """What `arrays.json` holds.

    Attributes:
        schema_version: Version of this layout.
        description: What the data set says about itself.
        ids: Text id of each example.
        features: Names of the features.
        sha256: Checksum of every other file of the folder, by file name.
    """

    schema_version: Literal[1]
    description: DataDescription
    ids: list[str]
    features: list[str]
    sha256: dict[str, str]


_ADAPTER = TypeAdapter(_Index)


class MappedExamples(Examples):
    """Examples of a folder of arrays; only what is used of one is read from disk.

    Args:
        columns: Values by feature.
        ids: Id of each example.
    """

    def __init__(self, columns: Mapping[str, Column], ids: Sequence[str]) -> None:
        self._columns = columns
        self._ids = ids

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self._ids)

    def example(self, number: int) -> Example:
        """Returns the example of a number, its arrays read-only."""
        example = {name: column[number] for name, column in self._columns.items()}
        return {**example, "id": self._ids[number]}


def export_arrays(
    data: str,
    out: str | Path,
    *,
    data_dir: str | Path | None = None,
    manual_dir: str | Path | None = None,
    overwrite: bool = False,
) -> dict[str, int]:
    """Writes the splits of a data set as folders of arrays, one sub folder a split.

    Args:
        data: `name[/config][:split]` of a registered TFDS builder; without a split,
            all of them. A slice of a split is taken when the arrays are read.
        out: Folder to write: missing, empty, or with arrays of the same splits, which
            are replaced. It appears complete or not at all.
        data_dir: Folder of built data sets; None = TFDS's own.
        manual_dir: Folder with files the user has to provide.
        overwrite: Also replaces other arrays.

    Returns:
        The number of examples by split.

    Raises:
        DataError: If the data set or split is unknown or cannot be built, or the
            folder is read, holds something else or cannot be written.
    """
    name, split = split_name(data)
    if split is not None and "[" in split:
        raise DataError(
            f"Expected a whole split to export, received `{split}`; slices are taken "
            "when the arrays are read."
        )
    check_apart([out], [data_dir, manual_dir])
    found = {path.parent.name: path for path in Path(out).glob(f"*/{INDEX}")}
    builder = find_builder(name, data_dir=data_dir)
    check_own_folder(
        out,
        "exported arrays",
        lambda path: path.name in found,
        lambda _: _are_of(found, full_name(builder), split),
        overwrite=overwrite,
    )
    counts = {}
    with atomic_folder(out, replace=True) as temporary:
        builder = prepared_builder(name, data_dir=data_dir, manual_dir=manual_dir)
        for part in [split] if split else list(builder.info.splits):
            store = load(name, split=part, data_dir=data_dir, manual_dir=manual_dir)
            counts[part] = write_arrays(
                temporary / part, store.examples, store.description
            )
    return counts


def _are_of(found: Mapping[str, Path], data: str, split: str | None) -> bool:
    """Whether arrays that are there, by split, are of a data set and no other split."""
    same = all(_read_index(path).description.name == data for path in found.values())
    return same and (split is None or set(found) == {split})


def write_arrays(
    folder: str | Path, examples: Iterable[Example], description: DataDescription
) -> int:
    """Writes examples as a folder of arrays, one example in memory at a time.

    Args:
        folder: Folder to write: missing or empty. It appears complete or not at all.
        examples: As for `from_examples`; every one has the same features.
        description: What the data set says about itself.

    Returns:
        The number of examples.

    Raises:
        DataError: If the examples are not valid, differ in their features, or the
            folder cannot be written.
    """
    folder = Path(folder)
    writers: dict[str, ColumnWriter] = {}
    ids: list[str] = []
    try:
        with atomic_folder(folder) as temporary:
            progress = with_progress(checked_examples(examples, description), "Writing")
            for name, example in progress:
                del example["id"]
                if not ids:
                    writers = {f: ColumnWriter(temporary, f) for f in example}
                if example.keys() != writers.keys():
                    raise DataError(
                        f"Example `{name}`: expected the features "
                        f"{sorted(writers)}, received {sorted(example)}."
                    )
                for feature, value in example.items():
                    writers[feature].add(name, value)
                ids.append(name)
            for writer in writers.values():
                writer.finish()
            sums = {p.name: sha256(p) for p in sorted(temporary.iterdir())}
            index = _Index(1, description, ids, sorted(writers), sums)
            write_text(temporary / INDEX, json.dumps(asdict(index), indent=1) + "\n")
    except OSError as error:
        raise DataError(
            f"`{folder}` cannot be written: {error.strerror or error}; free some space "
            "or name another folder."
        ) from error
    finally:
        for writer in writers.values():
            writer.close()
    return len(ids)


def load_arrays(folder: str | Path, data: str, split: str) -> ExampleStore:
    """Opens a split that `export_arrays` has written.

    Args:
        folder: Folder with one sub folder a split.
        data: `name[/config]` the examples must come from.
        split: A split, or a slice of one as TFDS writes it: `train[:24]`,
            `train[10%:-5]`.

    Returns:
        The examples, memory-mapped.

    Raises:
        DataError: If the folder has no such split, holds another data set, or is
            damaged.
    """
    folder = Path(folder)
    parts = _SLICE.fullmatch(split)
    known = sorted(path.parent.name for path in folder.glob(f"*/{INDEX}"))
    if not known:
        raise DataError(
            f"`{folder}` holds no arrays: write them with `landslide-tf datasets "
            f"export-arrays {data} --out {folder}`."
        )
    if parts is None or parts["name"] not in known:
        hint = did_you_mean(split.split("[")[0], known)
        raise DataError(f"`{folder}` has no split `{split}`.{hint}")
    store = read_arrays(folder / parts["name"])
    found = store.description.name
    if data not in (found, found.split("/")[0]):
        raise DataError(f"`{folder}` holds `{found}`, expected `{data}`.")
    count = len(store)
    start = _boundary(parts["start"], parts["start_percent"], count, 0)
    end = _boundary(parts["end"], parts["end_percent"], count, count)
    if max(abs(start), abs(end)) > count:
        raise DataError(
            f"`{found}:{split}` goes beyond its {counted(count, 'example')}."
        )
    chosen = slice(start, end)
    if not store.ids[chosen]:
        raise DataError(f"`{found}:{split}` has no examples.")
    return ExampleStore(
        replace(store.description, split=split),
        store.ids[chosen],
        store.examples[chosen],
    )


def read_arrays(folder: str | Path) -> ExampleStore:
    """Opens a folder that `write_arrays` has written; every checksum is compared.

    Args:
        folder: Folder of one split.

    Returns:
        The examples, memory-mapped.

    Raises:
        DataError: If this is not such a folder or a file in it is damaged.
    """
    folder = Path(folder)
    index = _read_index(folder / INDEX)
    for name, expected in with_progress(index.sha256.items(), "Checking"):
        file = folder / name
        if not file.is_file() or sha256(file) != expected:
            raise DataError(
                f"`{file}` is missing or damaged: write the arrays anew with "
                "`landslide-tf datasets export-arrays`."
            )
    columns = {name: open_column(folder, name) for name in index.features}
    mask = columns.get("mask")
    if mask is not None and mask.shapes is None and mask.values.ndim == 1:
        # So called in arrays of an earlier layout: the label of a whole image.
        columns["label"] = columns.pop("mask")
    return ExampleStore(
        index.description, index.ids, MappedExamples(columns, index.ids)
    )


def _read_index(path: Path) -> _Index:
    """Reads what `arrays.json` says."""
    try:
        return _ADAPTER.validate_python(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise DataError(
            f"`{path}` cannot be read: {error.strerror}; not a folder of arrays."
        ) from error
    except (ValidationError, ValueError) as error:
        line = " ".join(str(error).split())
        raise DataError(f"`{path}` is damaged: {line}") from error


def _boundary(text: str | None, percent: str | None, count: int, default: int) -> int:
    """Returns a boundary of a slice as TFDS counts it, percents rounded."""
    if text is None:
        return default
    number = int(text)
    return round(number * count / 100) if percent else number
