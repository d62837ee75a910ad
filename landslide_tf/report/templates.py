"""Templates of pages: Jinja2, every value escaped, one setting for all of them."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from landslide_tf.report.tables import format_cell, number_columns

_FOLDER = Path(__file__).parent


def render(name: str, **values: object) -> Markup:
    """Fills in a template.

    Args:
        name: The template's file below this folder.
        values: What it shows, by name.

    Returns:
        The text, which other templates take as it is.
    """
    return Markup(_ENVIRONMENT.get_template(name).render(values))


def asset(name: str) -> Markup:
    """Returns the text of a style sheet or script below this folder, as it is."""
    return Markup((_FOLDER / name).read_text(encoding="utf-8"))


def _inline(text: str) -> Markup:
    """Returns a text with what stands between backticks set as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _digest(text: str) -> str:
    """Returns the hash by which a page's policy allows a script or style of its own."""
    found = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(found).decode()}"


def _number(value: float, digits: int) -> str:
    """Returns a real number for readers, as a count where it has no digits."""
    whole = digits == 0 and math.isfinite(value)
    return format_cell(round(value) if whole else value, digits)


def _kind(block: object) -> str:
    return type(block).__name__


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_ENVIRONMENT.filters |= {
    "cell": format_cell,
    "digest": _digest,
    "inline": _inline,
    "kind": _kind,
    "number": _number,
}
_ENVIRONMENT.globals |= {"number_columns": number_columns}
