"""Generated landslides that look like bare ground unless one knows the terrain."""

from typing import TYPE_CHECKING

from landslide_tf.datasets.synthetic_landslides.synthetic_landslides_dataset_builder import (  # noqa: E501
    Builder,
)

if TYPE_CHECKING:
    from landslide_tf.datasets.synthetic_landslides.generate import generate_tile

__all__ = ["Builder", "generate_tile"]


def __getattr__(name: str) -> object:
    # The generator needs scipy, which `import landslide_tf` has no time for.
    if name == "generate_tile":
        from landslide_tf.datasets.synthetic_landslides.generate import generate_tile

        return generate_tile
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
