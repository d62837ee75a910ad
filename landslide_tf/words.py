"""Numbers with their words, in messages and reports."""

from __future__ import annotations


def counted(number: int, one: str, several: str | None = None) -> str:
    """Returns a number with the word for what it counts.

    Args:
        number: How many there are.
        one: The word for one of them.
        several: The word for none or several; None = the same with an `s`.

    >>> from landslide_tf.words import counted
    >>> counted(1, "polygon"), counted(0, "polygon"), counted(2, "class", "classes")
    ('1 polygon', '0 polygons', '2 classes')
    """
    return f"{number} {one if number == 1 else several or one + 's'}"
