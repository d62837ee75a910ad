"""What all builders of this package share."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import tensorflow_datasets as tfds
from etils import epath

from landslide_tf.datasets.common.files import (
    find_manual,
    manual_dir,
    unpack,
    verify,
)
from landslide_tf.datasets.common.report import Tally
from landslide_tf.errors import DataError
from landslide_tf.files import locked

Item = TypeVar("Item")
Example = dict[str, Any]  # by feature, as TFDS encodes it


class LandslideBuilder(
    tfds.core.GeneratorBasedBuilder,
    Generic[Item],
    skip_registration=True,  # type: ignore[call-arg]  # mypy knows no TFDS
):
    """A TFDS builder with this package's manual folder and safe rebuilding.

    A subclass says what examples hold (`_info`, by `info.make_info`), which files make
    which split (`find`) and what examples a file makes (`read`).

    Attributes:
        VERSION: Version of the examples; a subclass whose examples change raises it.
        CHECKSUMS: "algorithm:hexadecimal" by the name of an archive, where published.
        ON_BEAM: Whether the set is large enough to be made on Apache Beam.
        HALF_TILES: Whether neighbouring tiles overlap by exactly a half, so that
            shared ground is found without holding any pixels.
        NOTED: What `tally` notes of the examples: its arguments.
        tally: Notes what is stored of a split in `info.metadata["files"]`.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    CHECKSUMS: ClassVar[Mapping[str, str]] = {}
    ON_BEAM: ClassVar[bool] = False
    HALF_TILES: ClassVar[bool] = False
    NOTED: ClassVar[Mapping[str, Any]] = {}
    tally: Tally

    _manual_root: epath.Path
    _downloads: epath.Path
    _on_beam = False

    def __init_subclass__(cls, *, skip_registration: bool = False) -> None:
        """Names the builder's folder.

        Where the package is installed in editable mode, TFDS looks for README.md,
        CITATIONS.bib and TAGS.txt in the wrong one.
        """
        super().__init_subclass__(skip_registration=skip_registration)
        if file := getattr(sys.modules[cls.__module__], "__file__", None):
            cls.pkg_dir_path = epath.Path(file).parent

    def find(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Item]]:
        """Finds the data set's files and writes `info.metadata["files"]`.

        Args:
            dl_manager: TFDS's download manager.

        Returns:
            What examples are read from, by split; splits without any are left out.

        Raises:
            DataError: If files are missing or broken.
        """
        raise NotImplementedError

    def read(self, split: str, item: Item) -> Iterator[Example]:
        """Reads examples.

        Args:
            split: Where they go.
            item: One of the items that `find` has returned.

        Yields:
            Examples by feature, `id` among them; `mask` is uint8 (H, W).

        Raises:
            DataError: If a file is broken.
        """
        raise NotImplementedError

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Any]:
        splits = self.find(dl_manager)
        self.tally = Tally(self.info.metadata, **self.NOTED)
        return {
            split: self._generate_examples(split, items)
            for split, items in splits.items()
            if items
        }

    def _generate_examples(
        self, split: str, items: Sequence[Item]
    ) -> Iterator[tuple[str, Example]]:
        for item in items:
            for example in self.read(split, item):
                if "mask" in example:
                    example["mask"] = example["mask"][..., None]
                yield example["id"], example

    def is_prepared(self) -> bool:
        """Returns whether the data set is built, and warns where a build is not whole.

        TFDS warns of a folder without `dataset_info.json` where there is no folder.
        """
        return self.data_path.exists() and super().is_prepared()

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
        waiting = not self.data_path.exists()
        with _sole_writer(self.data_path):
            if waiting and self.data_path.exists():
                # Another process has built it meanwhile; TFDS looks only once.
                self.info.read_from_directory(self.data_path)
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
        inside = [path for p in patterns for path in sorted(unpacked.glob(p))]
        if not inside:
            raise DataError(f"`{found}` must hold {layout}: it is another archive.")
        return inside[0]

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
        self, items: Iterable[Item], make: Callable[[Item], tuple[str, Example]]
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


def configurations() -> dict[str, list[str]]:
    """Returns the names of the configurations of each of the package's data sets.

    Returns:
        Configuration names by data set name, both in order.
    """
    waiting, found = [LandslideBuilder], {}
    for cls in waiting:  # grows on the way
        waiting += cls.__subclasses__()
        if cls.BUILDER_CONFIGS:
            found[cls.name] = [config.name for config in cls.BUILDER_CONFIGS]
    return dict(sorted(found.items()))


@contextmanager
def _sole_writer(data_path: epath.Path) -> Iterator[None]:
    """Holds the folder of a build's versions and removes what killed builds left.

    The lock dies with its process, so whoever holds it knows that nobody is writing
    the leftovers. Remote folders cannot be locked.
    """
    if data_path.exists() or "://" in os.fspath(data_path):
        yield
        return
    with locked(os.fspath(data_path.parent)):
        for leftover in data_path.parent.glob(f"incomplete.*_{data_path.name}"):
            leftover.rmtree()
        yield


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
