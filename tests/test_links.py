"""Links between the Markdown pages lead to a file and a heading that exist."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def pages():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        return sorted(p for p in ROOT.rglob("*.md") if "." not in p.parts[-2][:1])
    found = [ROOT / line for line in listed.stdout.splitlines()]
    return sorted(path for path in found if path.is_file())


@cache
def anchors(path):
    """The anchors that GitHub makes of the headings of a page."""
    found = []
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    for heading in re.findall(r"^#+ (.+?)\s*$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.append(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def links(path):
    """The relative links of a page, outside code."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    text = re.sub(r"`[^`\n]*`", "", text)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            yield target


@pytest.mark.parametrize("page", pages(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target in links(page):
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{target}: there is no such file"
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), f"{target}: there is no such heading"


def test_headings_that_are_linked_differ():
    """Two headings of one name get other anchors on GitHub than on the site."""
    for page in pages():
        for target in links(page):
            name, _, anchor = target.partition("#")
            path = (page.parent / name).resolve() if name else page
            if anchor and path.suffix == ".md":
                assert anchors(path).count(anchor) == 1, f"{page.name}: {target}"
