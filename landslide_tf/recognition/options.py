"""What the scheme looks at, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from landslide_tf.errors import DataError
from landslide_tf.mapping import SceneFiles
from landslide_tf.objects import DEFAULT_RULES, Rule
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.names import FilePath

Change = Literal["object", "pixel"]
PRE_EXISTING = 0.5
"""Share of an object that was landslide before, from which it counts as old; ours."""


@dataclass(frozen=True)
class Maps:
    """Inputs of the recognition scheme.

    Attributes:
        after: Class map of the date after the event, with a coordinate system.
        probabilities: Its landslide probability; None = not known.
        before: Class map of a date before, any grid.
        image_before: Image of that date, for the loss of vegetation.
        image_after: Image of the date after.
        dem: Elevations, for slopes and relief.

    >>> from pathlib import Path
    >>> from landslide_tf.recognition import Maps
    >>> Maps(Path("map.tif"), before=Path("before.tif")).read
    (PosixPath('map.tif'), PosixPath('before.tif'))
    """

    after: Path
    probabilities: Path | None = None
    before: Path | None = None
    image_before: SceneFiles | None = None
    image_after: SceneFiles | None = None
    dem: DemFiles | None = None

    @property
    def read(self) -> tuple[FilePath, ...]:
        """All files that are read."""
        found: list[FilePath | None] = [self.after, self.probabilities, self.before]
        for files in (self.image_before, self.image_after):
            found += files.read if files is not None else ()
        found += self.dem.paths if self.dem is not None else ()
        return tuple(path for path in found if path is not None)


@dataclass(frozen=True)
class SchemeOptions:
    """Options of the recognition scheme.

    Attributes:
        rules: The geologic filter; empty = none.
        change: Whether what was there before is taken out of objects by `"pixel"`, or
            whole objects are judged by it.
        buffer: Pixels by which the landslides before are widened, since maps lie off
            each other.
        pre_existing: Share of an object that was landslide before, from which it is
            rejected; None keeps all.
        min_hole: Smaller holes in objects are filled, pixels.
        veg_loss: Smallest loss of the vegetation index under a landslide; None = by the
            index.
        target_iou: IoU of landslide pixels on the validation part below which bounds
            are searched; None = they stay as they are.
        max_rounds: Most rounds of the search.

    >>> from landslide_tf.recognition import SchemeOptions
    >>> SchemeOptions().buffer
    2
    """

    rules: Sequence[Rule] = DEFAULT_RULES
    change: Change = "object"
    buffer: int = 2
    pre_existing: float | None = PRE_EXISTING
    min_hole: int = 16
    veg_loss: float | None = None
    target_iou: float | None = None
    max_rounds: int = 5

    def __post_init__(self) -> None:
        """Refuses shares that are none."""
        for name in ("pre_existing", "target_iou"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise DataError(
                    f"Expected `{name}` above 0 and at most 1, received {value}; it is "
                    "a share."
                )
