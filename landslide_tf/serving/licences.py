"""Licences of models by the identifiers that catalogues know.

Apart from the model card and the STAC item, which both name the licence.
"""

from __future__ import annotations

SPDX = {
    "apache-2.0": "Apache-2.0",
    "mit": "MIT",
    "cc by 4.0": "CC-BY-4.0",
    "cc by-nc 4.0": "CC-BY-NC-4.0",
    "cc by-sa 4.0": "CC-BY-SA-4.0",
    "cc0": "CC0-1.0",
}
OTHER = "other"


def licence_id(licence: str | None) -> str:
    """Returns the SPDX identifier of a licence, or `other`.

    Args:
        licence: What metadata say, None if nothing.

    Example:
        >>> from landslide_tf.serving.licences import licence_id
        >>> licence_id("CC BY-NC 4.0; research use"), licence_id(None)
        ('CC-BY-NC-4.0', 'other')
    """
    stated = (licence or "").lower()
    found = [known for known in SPDX if stated.startswith(known)]
    return SPDX[max(found, key=len)] if found else OTHER
