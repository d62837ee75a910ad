"""What data sets the package has."""

from __future__ import annotations

from landslide_tf.datasets.common.base import LandslideBuilder


def configurations() -> dict[str, list[str]]:
    """Returns the names of the configurations of each of the package's data sets.

    Returns:
        Configuration names by data set name, both in order.
    """
    builders = sorted(LandslideBuilder.__subclasses__(), key=lambda cls: cls.name)
    return {cls.name: [c.name for c in cls.BUILDER_CONFIGS] for cls in builders}
