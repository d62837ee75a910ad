"""Predictions of branches as CSV files, one a branch, and their union."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import IntArray
from landslide_tf.errors import DataError
from landslide_tf.files import write_text
from landslide_tf.words import counted

CLASSES = ("non-landslide", "landslide")
COLUMNS = ("File", "Pre_label", "True_label", "Success", *CLASSES)
_SHOWN = 5


@dataclass(frozen=True)
class Predictions:
    """What one branch says about images.

    Attributes:
        files: Path or name of each image.
        labels: Its class, 1 for landslide (images,).
        probabilities: P(non-landslide), P(landslide), float64 (images, 2).
    """

    files: tuple[str, ...]
    labels: IntArray
    probabilities: NDArray[np.float64]

    @property
    def stems(self) -> tuple[str, ...]:
        """File names without folders and extension, which join branches."""
        return tuple(_stem(file) for file in self.files)


@dataclass(frozen=True)
class BranchTable:
    """What several branches say about the same images.

    Attributes:
        branches: Name of each branch.
        stems: Name of each image, sorted.
        labels: Its class (images,).
        probabilities: float64 (images, branches, 2).
        files: What all branches call each image, empty where they do not agree.
    """

    branches: tuple[str, ...]
    stems: tuple[str, ...]
    labels: IntArray
    probabilities: NDArray[np.float64]
    files: tuple[str, ...] = ()

    def of(self, branch: str) -> NDArray[np.float64]:
        """Returns the probabilities (images, 2) of one branch."""
        return self.probabilities[:, self.branches.index(branch)]


def write_predictions(
    predictions: Predictions,
    path: str | Path,
    further: Mapping[str, NDArray[np.float64]] | None = None,
) -> Path:
    """Writes a CSV file in the form of the released code.

    Columns are `File`, `Pre_label`, `True_label`, `Success`, and the two softmax values
    with every digit (doi 10.1109/JSTARS.2024.3354455, released scripts). A tie is
    labelled non-landslide.

    Args:
        predictions: What to write.
        path: The file.
        further: More columns by name, (images,).

    Returns:
        The path.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    further = further or {}
    writer.writerow([*COLUMNS, *further])
    values = np.column_stack([predictions.probabilities, *further.values()])
    for file, label, row in zip(
        predictions.files, predictions.labels, values.tolist(), strict=True
    ):
        decided = int(row[1] > row[0])
        writer.writerow(
            [
                file,
                CLASSES[decided],
                CLASSES[label],
                decided == label,
                *map(repr, row),
            ]
        )
    write_text(path, text.getvalue())
    return Path(path)


def read_predictions(path: str | Path) -> Predictions:
    """Reads a file of `write_predictions` or of the released code.

    Args:
        path: The file; columns in any order, further ones are left alone.

    Returns:
        The predictions in the file's order.

    Raises:
        DataError: If the file is missing or a column, a label or a number is not what
            it should be, or two rows are for one image.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(
            f"`{path}` does not exist: expected the predictions of a branch."
        )
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"`{path}` is not a CSV file: {error}.") from error
    needed = ("File", "True_label", *CLASSES)
    missing = [n for n in needed if not rows or n not in rows[0]]
    if missing:
        raise DataError(
            f"`{path}` must have rows with the columns {', '.join(COLUMNS)}; "
            f"`{missing[0]}` is missing."
        )
    labels, values = [], []
    for number, row in enumerate(rows, start=2):
        if row["True_label"] not in CLASSES:
            raise DataError(
                f"`{path}`, line {number}: `True_label` must be one of {CLASSES}, "
                f"received `{row['True_label']}`."
            )
        labels.append(CLASSES.index(row["True_label"]))
        values.append(_softmax_values(row, f"`{path}`, line {number}"))
    found = Predictions(
        tuple(row["File"] for row in rows), np.array(labels), np.array(values)
    )
    for stem, rows_of_it in Counter(found.stems).items():
        if rows_of_it > 1:
            raise DataError(f"`{path}` has two rows for the image `{stem}`.")
    return found


def read_branches(folder: str | Path, branches: tuple[str, ...]) -> BranchTable:
    """Reads `<branch>.csv` of several branches and joins them by file name.

    Args:
        folder: Where the files are.
        branches: Names of the branches.

    Returns:
        The joined predictions, images in order of their names.

    Raises:
        DataError: If a file cannot be read, or the files are not for the same images
            with the same labels.
    """
    folder = Path(folder)
    return join({name: read_predictions(folder / f"{name}.csv") for name in branches})


def join(predictions: Mapping[str, Predictions]) -> BranchTable:
    """Joins the predictions of branches by file name, whatever their order.

    Args:
        predictions: By name of the branch; at least one.

    Returns:
        The joined predictions, images in order of their names.

    Raises:
        DataError: If the branches are not for the same images with the same labels;
            at most five differences are named.
    """
    names = tuple(predictions)
    tables = [
        dict(
            zip(
                p.stems,
                zip(p.labels.tolist(), p.probabilities, strict=True),
                strict=True,
            )
        )
        for p in predictions.values()
    ]
    first = tables[0]
    for name, table in zip(names[1:], tables[1:], strict=True):
        apart = sorted(first.keys() ^ table.keys())
        if apart:
            raise DataError(
                f"Branches `{names[0]}` and `{name}` must be for the same images, "
                f"received {len(apart)} that only one has: {_listed(apart)}."
            )
        apart = sorted(stem for stem in first if first[stem][0] != table[stem][0])
        if apart:
            raise DataError(
                f"Branches `{names[0]}` and `{name}` must agree on `True_label`, "
                f"received {counted(len(apart), 'image')} of two classes: "
                f"{_listed(apart)}."
            )
    stems = tuple(sorted(first))
    called = [dict(zip(p.stems, p.files, strict=True)) for p in predictions.values()]
    agree = all(other == called[0] for other in called)
    return BranchTable(
        names,
        stems,
        np.array([first[stem][0] for stem in stems], np.int64),
        np.stack([[table[stem][1] for stem in stems] for table in tables], axis=1),
        tuple(called[0][stem] for stem in stems) if agree else (),
    )


def _stem(file: str) -> str:
    name = re.split(r"[\\/]", file)[-1]
    return name.rsplit(".", 1)[0] if "." in name.lstrip(".") else name


def _softmax_values(row: Mapping[str, str], place: str) -> list[float]:
    try:
        values = [float(row[name]) for name in CLASSES]
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{place}: expected a number in the columns {CLASSES}, received "
            f"`{row[CLASSES[0]]}` and `{row[CLASSES[1]]}`."
        ) from error
    if not (min(values) >= 0 and abs(sum(values) - 1) <= 1e-3):
        raise DataError(
            f"{place}: expected softmax values with a sum of 1, received {values}."
        )
    return values


def _listed(stems: list[str]) -> str:
    shown = ", ".join(f"`{stem}`" for stem in stems[:_SHOWN])
    return shown + (", …" if len(stems) > _SHOWN else "")
