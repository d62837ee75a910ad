"""Names of regions become numbers inside the graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from landslide_tf.array_types import Tensor
from landslide_tf.ecoregions import ANY, CODES, NO_REGION, REGIONS
from landslide_tf.serving.network import REGION
from landslide_tf.serving.requests import refuse

if TYPE_CHECKING:
    import tensorflow as tf

_UNKNOWN = -2


class RegionNames:
    """A table of names that is saved with the graph.

    Args:
        regions: Names by index.
        module: What is saved; keeps the table.
    """

    def __init__(self, regions: Mapping[int, str], module: tf.Module) -> None:
        import tensorflow as tf

        known = {name: index for index, name in regions.items()}
        codes = {c: known[r] for r, c in zip(REGIONS, CODES, strict=True) if r in known}
        known = {**codes, **known, ANY: NO_REGION}
        module.regions = self._table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                list(known), list(known.values()), tf.string, tf.int32
            ),
            _UNKNOWN,
        )
        self._words = f"`{REGION}` must be one of {', '.join(known)}, received: {{}}."

    def indices(self, region: Tensor) -> Tensor:
        """Returns int32 (batch,) of names or codes in any case, `*` for no region.

        Args:
            region: Text (batch,).
        """
        import tensorflow as tf

        plain = tf.strings.upper(tf.strings.strip(region))
        plain = tf.strings.regex_replace(plain, r"[\s\-]+", "_")
        found = self._table.lookup(plain)
        missing = tf.boolean_mask(region, found == _UNKNOWN)
        shown = tf.strings.reduce_join(missing, separator=", ")
        with tf.control_dependencies(
            [refuse(tf.size(missing) == 0, self._words, shown)]
        ):
            return tf.identity(found)
