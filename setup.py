"""Gives README links that work on the package's page in a registry.

A registry shows README without the files beside it. `SOURCE_URL`, the address of the
repository's files at the tag of a release, then stands before every relative link:

    SOURCE_URL=https://HOST/OWNER/landslide_tf/blob/v0.1.0 python -m build

Without it README is taken as it is. All else is in setup.cfg.
"""

import os
import re
from pathlib import Path

from setuptools import setup

LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)\s]+)\)")


def absolute(text: str, source: str) -> str:
    """Returns Markdown whose relative links lead to files below an address."""

    def replaced(link: re.Match[str]) -> str:
        picture, words, target = link.groups()
        # An address with `/blob/` shows a page about a picture, not the picture.
        below = source.replace("/blob/", "/raw/", 1) if picture else source
        return f"{picture}[{words}]({below.rstrip('/')}/{target})"

    return LINK.sub(replaced, text)


def main() -> None:
    """Calls setuptools, with its own description where an address is given."""
    source = os.environ.get("SOURCE_URL", "")
    if not source:
        setup()
        return
    readme = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    setup(
        long_description=absolute(readme, source),
        project_urls={
            "Source": source,
            "Documentation": f"{source.rstrip('/')}/docs/quick_start.md",
            "Changelog": f"{source.rstrip('/')}/CHANGELOG.md",
        },
    )


if __name__ == "__main__":
    main()
