"""Names of files that GDAL opens: on this machine or on others."""

from __future__ import annotations

import functools
import os
import re
from pathlib import PurePosixPath

FilePath = str | os.PathLike[str]

_SCHEMES = "(https?|ftp|s3|gs|az|oss)"
_REMOTE = re.compile(
    rf"(^|[+\s]){_SCHEMES}://|/vsi(curl|s3|gs|az|adls|oss|swift|webhdfs)",
    re.IGNORECASE,
)
_PATH_OF_ADDRESS = re.compile(rf"^{_SCHEMES}:/(?!/)", re.IGNORECASE)
# How long GDAL waits for other machines, where the user's environment does not say: it
# waits for ever by itself, and tries once.
_WAITING = {
    "GDAL_HTTP_CONNECTTIMEOUT": "10",  # seconds
    "GDAL_HTTP_LOW_SPEED_LIMIT": "100",  # bytes a second, below which nothing comes
    "GDAL_HTTP_LOW_SPEED_TIME": "20",  # seconds of that
    "GDAL_HTTP_TIMEOUT": "300",  # seconds of one request
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "1",  # seconds, doubled from try to try
}


def full_text(path: FilePath) -> str:
    """Returns the text of a name, with both slashes of an address.

    A path makes one of them, as it does of `a//b`.

    >>> from pathlib import Path
    >>> from landslide_tf.raster.names import full_text
    >>> full_text(Path("https://host/a.tif")), full_text(Path("a.tif"))
    ('https://host/a.tif', 'a.tif')
    """
    return _PATH_OF_ADDRESS.sub(r"\1://", os.fspath(path))


def is_remote(path: FilePath) -> bool:
    """Says whether a file is read from another machine.

    Args:
        path: A path, an address, or another name that GDAL opens.

    >>> from landslide_tf.raster.names import is_remote
    >>> is_remote("s3://bucket/scene.tif"), is_remote("/vsicurl/https://host/a.tif")
    (True, True)
    >>> is_remote("https/scene.tif")
    False
    """
    return _REMOTE.search(full_text(path)) is not None


def short_name(path: FilePath) -> str:
    """Returns what to call a file: its name without folders, or that of an array.

    What follows the `?` of an address often is a secret, and is left out.

    Args:
        path: A path, an address, or another name that GDAL opens.

    >>> from landslide_tf.raster.names import short_name
    >>> short_name("https://host/scenes/B04.tif?sig=secret")
    'B04.tif'
    >>> short_name('NETCDF:"/scenes/may.nc":red')
    'red'
    """
    text = os.fspath(path)
    if is_remote(text):
        text = text.partition("?")[0]
    elif os.path.exists(text):
        return PurePosixPath(text).name
    parts = re.split(r'[/":]', text.rstrip('/"'))
    return parts[-1] or text


def stem(path: FilePath) -> str:
    """Returns the short name of a file without its last suffix.

    >>> from landslide_tf.raster.names import stem
    >>> stem("https://host/scenes/B04.tif?sig=secret")
    'B04'
    """
    return PurePosixPath(short_name(path)).stem


@functools.cache
def set_up_gdal() -> None:
    """Limits how long this process waits for files on other machines, once.

    GDAL's own names for it in the environment decide where they are set. The
    environment is what all threads, and the second GDAL that reads vector files, have
    in common.

    >>> import os
    >>> from landslide_tf.raster.names import set_up_gdal
    >>> set_up_gdal()
    >>> "GDAL_HTTP_CONNECTTIMEOUT" in os.environ
    True
    """
    for name, value in _WAITING.items():
        os.environ.setdefault(name, value)
    # GDAL 3.10 forgets what goes wrong in its own threads for JPEG 2000: of a file that
    # is cut off, it gives other numbers and no error. Ours read side by side anyway.
    os.environ["GDAL_NUM_THREADS"] = "1"
