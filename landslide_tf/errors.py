"""Errors and warnings a user can put right: one line that says what, where, what to do.

Commands print the message and end with exit status 2. The message names what was
expected, what was received and what to do next, with names in backticks.
"""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Iterable
from types import FrameType

LISTED = 20
_PACKAGE = __name__.partition(".")[0]


class LandslideTFError(ValueError):
    """Base of every error that the input, not the code, is the cause of.

    Attributes:
        status: Exit status of a command that it ends.
    """

    status = 2


class DataError(LandslideTFError):
    """A file, folder or data set is missing, corrupt or does not fit."""


class UnreachableError(DataError):
    """A file on another machine cannot be read now: the same may succeed later."""


class RecipeError(LandslideTFError):
    """A recipe or one of its values is not valid."""


class ModelError(LandslideTFError):
    """A model, its arguments, its weights or its inputs are not valid."""


class RunError(LandslideTFError):
    """A run folder, checkpoint or export cannot be used."""


class LostProcessError(RunError):
    """Another process that trains the same network has ended, or cannot be reached."""

    status = 1  # the same command may go on, which no wrong input lets it


def first_line(error: BaseException) -> str:
    """Returns the first line of what an exception says.

    Args:
        error: An exception of another library, whose text may have any form.

    Returns:
        The line; the exception's class where it says nothing.
    """
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns the end of an error message that suggests near names.

    Args:
        name: What the user wrote.
        known: Every name that would have been right.

    Returns:
        `" Did you mean `a` or `b`?"` for near names, else the whole list unless it is
        too long for one line.
    """
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if near:
        return " Did you mean " + " or ".join(f"`{n}`" for n in near) + "?"
    if len(known) > LISTED:
        return ""
    return " Known: " + ", ".join(f"`{n}`" for n in known) + "."


def check_choice(
    name: str,
    value: object,
    known: Iterable[str | None],
    error: type[LandslideTFError] = DataError,
) -> None:
    """Refuses an argument that is none of the known words.

    Args:
        name: What the caller calls the argument.
        value: What the user gave.
        known: Every word that would have been right; None among them is no word.
        error: The class to raise.

    Raises:
        LandslideTFError: If the value is unknown; the message names near words.
    """
    known = list(known)
    if value not in known:
        words = [word for word in known if word is not None]
        hint = did_you_mean(str(value), words)
        raise error(f"`{name}` cannot be `{value}`.{hint}")


def warn(text: str, category: type[Warning] = UserWarning) -> None:
    """Warns at the line outside the package that called it, however deep this is.

    Keras and TFDS, which the package calls and which call it back, are not outside.

    Args:
        text: What the warning says.
        category: Its class.
    """
    frame: FrameType | None = sys._getframe(1)
    shown = frame
    while frame is not None:
        if _name(frame).partition(".")[0] == _PACKAGE:
            shown = frame.f_back or frame
        frame = frame.f_back
    assert shown is not None  # a function has a caller
    warnings.warn_explicit(
        text,
        category,
        shown.f_code.co_filename,
        shown.f_lineno,
        module=_name(shown),
        registry=shown.f_globals.setdefault("__warningregistry__", {}),
    )


def _name(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))
