"""Hooks of the documentation site: pages that are made when it is built.

Files from outside `docs/` become pages, and links between all pages are moved along.
`pages.py` makes those of data sets, recipes, commands and public names.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
from pathlib import Path

import pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "build" / "site_source"
STYLE = "site.css"  # beside this file
# Pages of files that lie outside `docs/`, by their path in the repository.
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "train/README.md": "training.md",
    "saved_models/README.md": "shipped_models.md",
    "tests/benchmarks/README.md": "benchmarks.md",
}
# Code, in which nothing is a link, or a link, whose words may hold code.
_LINK = re.compile(
    r"^```.*?^```|(?P<mark>!?)\[(?P<text>(?:[^\[\]\n]|\[[^\]\n]*\])*)\]"
    r"\((?P<target>[^)\s]+)\)|`[^`\n]*`",
    re.DOTALL | re.MULTILINE,
)


@event_priority(100)  # mkdocstrings looks once whether the folder of code exists
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Arranges the package as it is installed, and completes the navigation.

    `datasets/`, `train/` and `saved_models/` lie beside `landslide_tf/`, where the
    reader of docstrings would not find them.
    """
    shutil.rmtree(SOURCE, ignore_errors=True)
    package = SOURCE / "landslide_tf"
    package.mkdir(parents=True)
    beside = [ROOT / name for name in ("datasets", "train", "saved_models")]
    for path in [*(ROOT / "landslide_tf").iterdir(), *beside]:
        (package / path.name).symlink_to(path)
    made = pages.made(ROOT)
    config.extra["made"] = made
    config.nav = _completed(config.nav, made)
    return config


def _completed(nav: object, made: dict[str, str]) -> object:
    """Returns the navigation with the pages of each folder that it names."""
    if isinstance(nav, list):
        return [_completed(item, made) for item in nav]
    if isinstance(nav, dict):
        return {title: _completed(item, made) for title, item in nav.items()}
    if str(nav).endswith("/"):
        found = sorted(path for path in made if path.startswith(str(nav)))
        title = {"api/": "Python", "datasets/": "Public data sets"}.get(str(nav))
        # Without what all titles begin with.
        listed = [{Path(path).name.removesuffix(".md"): path} for path in found]
        return {title or str(nav).rstrip("/").capitalize(): listed}
    return nav


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages."""
    for path, text in config.extra["made"].items():
        files.append(File.generated(config, path, content=text))
    files.append(File(STYLE, str(ROOT / "docs" / "site"), config.site_dir, False))
    for path, name in OUTSIDE.items():
        text = (ROOT / path).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(
    markdown: str, page: Page, config: MkDocsConfig, files: Files
) -> str:
    """Moves links to where the pages are on the site."""
    origins = {name: path for path, name in OUTSIDE.items()}
    places = OUTSIDE | {
        f"datasets/{name}/README.md": f"datasets/{name}.md"
        for name in os.listdir(ROOT / "datasets")
    }
    uri = page.file.src_uri
    origin = origins.get(uri, f"docs/{uri}")
    known = {file.src_uri for file in files}

    def moved(found: re.Match[str]) -> str:
        text, target = found["text"], found["target"]
        if target is None or re.match(r"[a-z]+:|#", target):
            return found.group()
        name, _, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), name))
        place = places.get(path, path.removeprefix("docs/"))
        if place not in known:
            return text  # a file of the repository that is no page
        here = posixpath.dirname(uri) or "."
        link = posixpath.relpath(place, here) + (f"#{anchor}" if anchor else "")
        return f"{found['mark']}[{text}]({link})"

    return _LINK.sub(moved, markdown)
