"""Progress of what takes more than some seconds, for whoever watches a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def with_progress(
    items: Iterable[T], text: str, total: int | None = None
) -> Iterable[T]:
    """Shows on a terminal how many of some items are done, and nothing elsewhere.

    Args:
        items: What is worked at, one after the other.
        text: What is done with them: `"Reading labels"`.
        total: Their number, where `items` has no length.

    Returns:
        The items.

    >>> from landslide_tf.progress import with_progress
    >>> list(with_progress("ab", "Spelling"))
    ['a', 'b']
    """
    from rich.console import Console  # 60 ms that most readers of arrays do without
    from rich.progress import track

    console = Console(stderr=True)
    return track(
        items,
        text,
        total=total,
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
