"""What takes the place of a command's options in the errors of a builder."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator

from landslide_tf.errors import LandslideTFError

_OPTION = re.compile(r"`(--[a-z-]+)(?: ([^`]*))?`")


@contextlib.contextmanager
def without_options(words: Callable[[str, str], str]) -> Iterator[None]:
    """Names in errors what a builder takes, where readers name options of commands.

    Args:
        words: Returns what to write for an option (`--layer`) and its value, which may
            be empty.

    Raises:
        LandslideTFError: That of the block, in other words.

    >>> from landslide_tf.datasets.common.option_words import without_options
    >>> from landslide_tf.errors import DataError
    >>> with without_options(lambda option, value: f"`layer: {value}`"):
    ...     raise DataError("say which with `--layer NAME`")
    Traceback (most recent call last):
    landslide_tf.errors.DataError: say which with `layer: NAME`
    """
    try:
        yield
    except LandslideTFError as error:
        text = _OPTION.sub(lambda m: words(m[1], m[2] or ""), str(error))
        raise type(error)(text) from error
