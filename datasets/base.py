"""What all builders of this package share."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NotRequired, TypedDict

import tensorflow_datasets as tfds
from etils import epath

from landslide_tf.datasets.places import check_archive, find_manual, manual_dir
from landslide_tf.errors import DataError
from landslide_tf.metadata import IGNORE_VALUE


class IncompleteDataWarning(UserWarning):
    """A data set is built from fewer files than were published."""


class BandInfo(TypedDict):
    """A channel of `image` or `factors`.

    `unit` is empty for counts and "1" for values scaled to a range; `range` holds the
    smallest and the largest value, `nodata` the value that stands for none. Where the
    range is not known before the files are read, building the set adds it.
    """

    name: str
    unit: str
    range: NotRequired[list[float]]
    nodata: NotRequired[float]


def make_metadata(
    *,
    bands: Sequence[BandInfo],
    factors: Sequence[BandInfo],
    classes: Sequence[str],
    landslide_class: int,
    licence: str,
    gsd: float | None,
) -> tfds.core.MetadataDict:
    """Makes the metadata that every builder carries in `builder.info.metadata`.

    Args:
        bands: Channels of `image`, in order.
        factors: Channels of `factors`, in order; none where the feature is missing.
        classes: Names of the mask's values, from 0.
        landslide_class: Index of the landslide class.
        licence: Licence of the data.
        gsd: Ground size of a pixel, metres; None = unknown.

    Returns:
        The metadata, JSON values only, with `ignore_value` added.
    """
    return tfds.core.MetadataDict(
        bands=[dict(band) for band in bands],
        factors=[dict(factor) for factor in factors],
        classes=list(classes),
        landslide_class=landslide_class,
        ignore_value=IGNORE_VALUE,
        licence=licence,
        gsd=gsd,
    )


class LandslideBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A TFDS builder with this package's manual folder and safe rebuilding.

    A subclass sets `pkg_dir_path`: where the package is installed in editable mode,
    TFDS looks for README.md, CITATIONS.bib and TAGS.txt in the wrong folder.

    Attributes:
        HALF_TILES: Whether neighbouring tiles overlap by exactly a half, so that
            shared ground is found without holding any pixels.
    """

    HALF_TILES: ClassVar[bool] = False

    _manual_root: epath.Path | None = None

    def download_and_prepare(
        self,
        *,
        download_dir: epath.PathLike | None = None,
        download_config: tfds.download.DownloadConfig | None = None,
        # TFDS's own further arguments, passed on as they are.
        **arguments: Any,
    ) -> None:
        """Builds the data set where it is missing.

        A build appears complete or not at all; what a killed build left is removed
        first. A second process that builds the same set waits for the first.

        Args:
            download_dir: TFDS's download folder.
            download_config: TFDS's configuration. Its `manual_dir`, where not set,
                is the environment's `LANDSLIDE_TF_MANUAL_DIR`.
            **arguments: As in `tfds.core.DatasetBuilder.download_and_prepare`.

        Raises:
            DataError: If the data set's files are missing or corrupt.
        """
        config = download_config or tfds.download.DownloadConfig()
        downloads = download_dir or epath.Path(self.data_dir_root) / "downloads"
        self._manual_root = epath.Path(
            manual_dir(config.manual_dir, download_dir=downloads)
        )
        config = dataclasses.replace(config, manual_dir=self._manual_root)
        with _sole_writer(self.data_path):
            super().download_and_prepare(
                download_dir=download_dir, download_config=config, **arguments
            )

    def find_files(
        self,
        dl_manager: tfds.download.DownloadManager,
        patterns: Sequence[str],
        archives: Sequence[str],
        layout: str,
    ) -> epath.Path:
        """Finds the files a user brought, unpacked or as a zip archive.

        Args:
            dl_manager: TFDS's download manager.
            patterns: Globs of which the wanted path fits one, relative to
                `<manual_dir>/<name>/`, `<manual_dir>/` or the archive's root.
            archives: Globs of archive names.
            layout: What the files should look like, for the error message.

        Returns:
            The path that fits a pattern.

        Raises:
            DataError: If nothing is found, or the archive is broken or harmful.
        """
        try:
            root = dl_manager.manual_dir
        except AssertionError:  # TFDS's way to say: missing or empty
            root = self._manual_root
        layout = f"{layout}, or one of the archives {_listed(archives)}"
        found = find_manual(root, self.name, [*patterns, *archives], layout)
        if found.is_dir():
            return found
        check_archive(found)
        unpacked = epath.Path(dl_manager.extract(found))
        for pattern in patterns:
            if inside := sorted(unpacked.glob(pattern)):
                return inside[0]
        raise DataError(f"`{found}` must hold {layout}: it is another archive.")


@contextmanager
def _sole_writer(data_path: epath.Path) -> Iterator[None]:
    """Holds the folder of a build's versions and removes what killed builds left.

    The lock lies on the folder itself and dies with its process, so whoever holds it
    knows that nobody is writing the leftovers. Remote folders cannot be locked.
    """
    folder = os.fspath(data_path.parent)
    if data_path.exists() or "://" in folder:
        yield
        return
    import fcntl  # not on Windows, where importing the package still has to work

    data_path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for leftover in data_path.parent.glob(f"incomplete.*_{data_path.name}"):
            leftover.rmtree()
        yield
    finally:
        os.close(descriptor)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
