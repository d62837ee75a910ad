"""What all builders of this package share."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NotRequired, TypedDict, TypeVar

import tensorflow_datasets as tfds
from etils import epath

from landslide_tf.datasets.common.archives import unpack, verify
from landslide_tf.datasets.common.folders import find_manual, manual_dir
from landslide_tf.errors import DataError
from landslide_tf.metadata import IGNORE_VALUE

Item = TypeVar("Item")


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
        CHECKSUMS: "algorithm:hexadecimal" by the name of an archive, where published.
        ON_BEAM: Whether the set is large enough to be made on Apache Beam.
        HALF_TILES: Whether neighbouring tiles overlap by exactly a half, so that
            shared ground is found without holding any pixels.
    """

    CHECKSUMS: ClassVar[Mapping[str, str]] = {}
    ON_BEAM: ClassVar[bool] = False
    HALF_TILES: ClassVar[bool] = False

    _manual_root: epath.Path | None = None
    _downloads: epath.Path | None = None
    _on_beam = False

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
            DataError: If the data set's files are missing or corrupt, or Beam is asked
                for where it cannot be used.
        """
        config = download_config or tfds.download.DownloadConfig()
        self._on_beam = self._asks_for_beam(config)
        downloads = download_dir or epath.Path(self.data_dir_root) / "downloads"
        self._manual_root = epath.Path(
            manual_dir(config.manual_dir, download_dir=downloads)
        )
        self._downloads = epath.Path(downloads)
        config = dataclasses.replace(config, manual_dir=self._manual_root)
        with _sole_writer(self.data_path):
            super().download_and_prepare(
                download_dir=download_dir, download_config=config, **arguments
            )

    def _asks_for_beam(self, config: tfds.download.DownloadConfig) -> bool:
        if not (config.beam_runner or config.beam_options):
            return False
        if not self.ON_BEAM:
            raise DataError(
                f"`{self.name}` is small and built without Apache Beam, received the "
                f"runner `{config.beam_runner}`; leave it out."
            )
        if importlib.util.find_spec("apache_beam") is None:
            raise DataError(
                f"The runner `{config.beam_runner}` needs Apache Beam, which is not "
                "installed: `pip install landslide_tf[beam]`."
            )
        return True

    def manual_root(self, dl_manager: tfds.download.DownloadManager) -> epath.Path:
        """Returns the manual folder, there or not.

        Args:
            dl_manager: TFDS's download manager.
        """
        try:
            return epath.Path(dl_manager.manual_dir)
        except AssertionError:  # TFDS's way to say: missing or empty
            return self._manual_root

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
        root = self.manual_root(dl_manager)
        layout = f"{layout}, or one of the archives {_listed(archives)}"
        found = find_manual(root, self.name, [*patterns, *archives], layout)
        if not any(found.match(archive) for archive in archives):
            return found
        unpacked = self.unpack(found)
        for pattern in patterns:
            if inside := sorted(unpacked.glob(pattern)):
                return inside[0]
        raise DataError(f"`{found}` must hold {layout}: it is another archive.")

    def unpack(self, archive: epath.Path) -> epath.Path:
        """Unpacks an archive into TFDS's download folder, or finds it there.

        Args:
            archive: A zip archive.

        Returns:
            The folder with its files.

        Raises:
            DataError: If its checksum is not the published one, or it is broken or
                harmful.
        """
        verify(archive, self.CHECKSUMS)
        return unpack(archive, Path(self._downloads) / "extracted")

    def generate(
        self, items: Iterable[Item], make: Callable[[Item], tuple[str, dict[str, Any]]]
    ) -> Any:  # noqa: ANN401 - a generator, or Beam's own type
        """Makes a split's examples, on Apache Beam where the build asks for it.

        A build runs on Beam where TFDS's `DownloadConfig` names a runner or options.

        Args:
            items: What one example each is made from; pickled on Beam.
            make: Makes the key and the example; a function of a module, or a
                `functools.partial` of one.

        Returns:
            What `_split_generators` gives TFDS for the split.
        """
        if not self._on_beam:
            return (make(item) for item in items)
        import apache_beam as beam

        # Without the reshuffle a runner may fuse all into one worker.
        return beam.Create(list(items)) | beam.Reshuffle() | beam.Map(make)


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
