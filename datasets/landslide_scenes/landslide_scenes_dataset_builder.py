"""landslide_scenes: tiles of a user's own scenes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from landslide_tf.datasets.common.base import Example, LandslideBuilder
from landslide_tf.datasets.common.files import find_manual
from landslide_tf.datasets.common.info import TERRAIN, BandInfo, make_info
from landslide_tf.datasets.common.report import warn_incomplete
from landslide_tf.errors import DataError
from landslide_tf.words import counted

if TYPE_CHECKING:
    from landslide_tf.datasets.landslide_scenes.plan import Plan
    from landslide_tf.datasets.landslide_scenes.tiles import Tile

LAYOUT = (
    "one folder a scene with `image.tif` (or `bands.csv` and one file a band) and, "
    "where there are, `dem.tif`, `ndvi.tif`, `polygons.geojson|gpkg|shp` or "
    "`labels.tif|json`, and `scene.json`"
)
PATTERNS = ("*/image.tif", "*/image.tiff", "*/bands.csv")

PREPARED = "prepared"
_RGB = ("red", "green", "blue")
_TERRAIN = ("dem", "slope", "aspect", "aspect_sin", "aspect_cos")
_FACTORS = {factor["name"]: factor for factor in TERRAIN} | {
    "dem": BandInfo(name="dem", unit="m", range=[-12000.0, 23000.0]),
    "aspect_sin": BandInfo(name="aspect_sin", unit="1", range=[-1.0, 1.0]),
    "aspect_cos": BandInfo(name="aspect_cos", unit="1", range=[-1.0, 1.0]),
}


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """What an example of a configuration holds, and where from.

    Attributes:
        bands: Bands of `image`, in order.
        dtype: Type of `image`: `uint8`, `uint16` or `float32`.
        factors: Channels of `factors`; none = no such feature.
        classes: Names of the mask's values, `landslide` among them.
        size: Rows and columns of a tile.
        stride: Rows and columns from tile to tile.
        licence: Licence of the scenes.
        gsd: Cell size of all scenes in metres; None where they differ.
        plan: Scenes and tiles; None = to be found in the manual folder.
        workers: Threads that read windows; None = one a core, four at most.
    """

    bands: tuple[str, ...] = _RGB
    dtype: str = "uint8"
    factors: tuple[str, ...] = _TERRAIN
    classes: tuple[str, ...] = ("background", "landslide")
    size: int = 256
    stride: int = 256
    licence: str = "the user's own scenes"
    gsd: float | None = None
    # TFDS logs a configuration: not with thousands of tiles.
    plan: Plan | None = dataclasses.field(default=None, repr=False)
    workers: int | None = None


def _bands(config: Config) -> list[BandInfo]:
    whole = np.dtype(config.dtype).kind == "u"
    top = float(np.iinfo(config.dtype).max) if whole else 0.0
    return [BandInfo(name=name, unit="", range=[0.0, top]) for name in config.bands]


class Builder(LandslideBuilder["Tile"]):
    """Builder of landslide_scenes."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    Put your scenes into `<manual_dir>/landslide_scenes/` or `<manual_dir>/`: {LAYOUT}.
    """
    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        "1.0.0": "First release.",
        "2.0.0": "A pixel has no data where all bands hold the number for it, not one; "
        "scale and offset that files tag are used.",
    }
    BUILDER_CONFIGS: ClassVar[list[Config]] = [
        Config(name="rgb", description="Red, green and blue of 8 bits, and terrain."),
        Config(
            name="rgb_nir",
            description="Also near infrared and the vegetation index.",
            bands=(*_RGB, "nir"),
            factors=(*_TERRAIN, "ndvi"),
        ),
        Config(
            name="rgb-float32",
            description="As rgb, for scenes of more than 8 bits.",
            dtype="float32",
        ),
        Config(
            name="rgb_nir-float32",
            description="As rgb_nir, for scenes of more than 8 bits.",
            bands=(*_RGB, "nir"),
            factors=(*_TERRAIN, "ndvi"),
            dtype="float32",
        ),
        Config(
            name=PREPARED,
            description="What `landslide-tf prepare` wrote, found by its data folder.",
            supported_versions=[tfds.core.Version("1.0.0")],
        ),
    ]
    ON_BEAM: ClassVar[bool] = True

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        if config.name == PREPARED and config.plan is None and self.data_path.exists():
            # What it holds was chosen when it was prepared.
            stored = tfds.builder_from_directory(self.data_path).info
            return self.dataset_info_from_configs(
                features=stored.features,
                supervised_keys=("image", "mask"),
                metadata=tfds.core.MetadataDict(stored.metadata),
            )
        size, text = config.size, tfds.features.Text
        scalar, tensor = tfds.features.Scalar, tfds.features.Tensor
        return make_info(
            self,
            bands=_bands(config),
            factors=[_FACTORS[name] for name in config.factors],
            classes=config.classes,
            size=size,
            dtype=config.dtype,
            licence=config.licence,
            gsd=config.gsd,
            features={
                "valid": tensor(shape=(size, size, 1), dtype=np.bool_, encoding="zlib"),
                "scene": text(),
                "x0": scalar(np.int32),
                "y0": scalar(np.int32),
                "transform": tensor(shape=(6,), dtype=np.float64),
                "crs": text(),
                "gsd": scalar(np.float32),
            },
        )

    def download_and_prepare(self, **arguments: Any) -> None:
        """Builds the set where it is missing, as `LandslideBuilder` does.

        Args:
            **arguments: Of `LandslideBuilder.download_and_prepare`.

        Raises:
            DataError: If it is what `prepare` writes and is not there: nothing is left
                behind then.
        """
        config = self.builder_config
        if config.name == PREPARED and not (config.plan or self.data_path.exists()):
            raise DataError(
                f"`{self.data_path}` must hold what `landslide-tf prepare` wrote, "
                "received nothing; name its `--out` as `--data-dir`."
            )
        super().download_and_prepare(**arguments)

    def find(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Tile]]:
        """Plans the tiles of the scenes by split."""
        self._plan = self.builder_config.plan or self._find_plan(dl_manager)
        self._describe(self._plan)
        return self._plan.tiles

    def _find_plan(self, dl_manager: tfds.download.DownloadManager) -> Plan:
        """Finds the scenes in the manual folder and cuts them into tiles."""
        # GDAL loads only where scenes are read.
        from landslide_tf.datasets.landslide_scenes.plan import plan_of_folder

        root = self.manual_root(dl_manager)
        found = find_manual(root, self.name, PATTERNS, LAYOUT)
        config = self.builder_config
        plan = plan_of_folder(
            found.parent.parent,
            bands=config.bands,
            factors=config.factors,
            size=config.size,
            stride=config.stride,
            workers=config.workers,
        )
        if ignored := plan.report["ignored"]:
            warn_incomplete(
                f"`{found.parent.parent}` holds "
                f"{counted(len(ignored), 'further entry', 'further entries')} beside "
                f"the scenes, the first `{ignored[0]}`: left out."
            )
        return plan

    def _describe(self, plan: Plan) -> None:
        """Writes what is known before any example is made into the metadata."""
        config = self.builder_config
        files: dict[str, Any] = {**plan.report}
        for split, tiles in plan.tiles.items():
            counts = np.array([tile.counts for tile in tiles]).sum(axis=0)
            shares = counts / max(1, counts.sum())
            pixels = len(tiles) * config.size**2
            files[split] = {
                "examples": len(tiles),
                "class_shares": dict(zip(config.classes, shares.tolist(), strict=True)),
                "unlabelled_share": 1 - float(counts.sum()) / pixels,
            }
        self.info.metadata["files"] = files
        if plan.landslide_name is not None:
            self.info.metadata["landslide_name"] = plan.landslide_name
        if set(config.factors) & set(_TERRAIN):
            # Here, since every import of the package registers this builder.
            from landslide_tf.metadata import Terrain

            # Maps are made of the same slopes.
            how = next(iter(plan.scenes.values())).terrain
            self.info.metadata["terrain"] = Terrain(**how).model_dump()
        if np.dtype(config.dtype).kind != "u":
            bands = self.info.metadata["bands"]
            for band, ends in zip(bands, plan.ranges, strict=True):
                band["range"], band["unit"] = ends.tolist(), plan.unit

    def _generate_examples(self, split: str, items: Sequence[Tile]) -> Any:  # noqa: ANN401 - a generator, or Beam's own type
        from landslide_tf.datasets.landslide_scenes.tiles import make_example

        if self._on_beam:
            scenes, dtype = self._plan.scenes, self.builder_config.dtype
            make = functools.partial(make_example, scenes, dtype)
            return self.generate(items, make)
        return self._examples(split, items)

    def _examples(
        self, split: str, tiles: Sequence[Tile]
    ) -> Iterator[tuple[str, Example]]:
        from landslide_tf.datasets.landslide_scenes.tiles import examples_of

        config, plan = self.builder_config, self._plan
        labelled = False
        examples = examples_of(plan.scenes, tiles, config.dtype, config.workers)
        for name, example in examples:
            labelled = labelled or bool((example["mask"] != 255).any())
            yield name, example
        if plan.labelled and not labelled:
            raise DataError(
                f"the {split} tiles must hold labelled pixels, received none: where "
                "there are labels the DEM has no values."
            )
