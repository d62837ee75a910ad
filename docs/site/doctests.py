"""Examples of docstrings as blocks of code on the site.

The reader of docstrings takes `>>>` for an example within a section of examples alone;
elsewhere what a doctest prints would be read as Markdown.
"""

from __future__ import annotations

import re

from griffe import Extension, Object

_DOCTEST = re.compile(r"^( *)>>> .*?(?=\n\s*\n|\Z)", re.DOTALL | re.MULTILINE)


class Doctests(Extension):
    """Puts fences around the doctests of every docstring."""

    def on_object(self, *, obj: Object, **_: object) -> None:
        """Changes the docstring of an object, once it is known."""
        if obj.docstring is not None:
            text = obj.docstring.value
            obj.docstring.value = _DOCTEST.sub(r"\1```pycon\n\g<0>\n\1```", text)
