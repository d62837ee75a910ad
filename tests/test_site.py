"""The documentation site is built without a warning, and has a page of everything."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from landslide_tf import datasets
from landslide_tf.cli.main import app

ROOT = Path(__file__).parent.parent
NAMES = (ROOT / "tests" / "public_names.txt").read_text(encoding="utf-8").split()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("mkdocs") is None,
        reason="needs mkdocs (`pip install -e .[docs]`)",
    ),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, and what building it printed."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir"]
    done = subprocess.run(
        [*command, folder, "-f", ROOT / "docs" / "site" / "mkdocs.yml"],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    return folder


def text_of(page):
    return re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))


def test_every_data_set_command_and_public_name_has_its_place(site):
    for name in datasets.configurations():
        assert name in text_of(site / "datasets" / f"{name}.html")
    for name, command in typer.main.get_command(app).commands.items():
        page = text_of(site / "commands" / f"{name}.html")
        for part in (command, *getattr(command, "commands", {}).values()):
            for option in part.params:
                if option.opts[0].startswith("--"):
                    assert option.opts[0] in page, (name, option.opts)
    pages = "".join(
        path.read_text(encoding="utf-8") for path in (site / "api").glob("*.html")
    )
    anchors = set(re.findall(r'id="(landslide_tf\.[\w.]+)"', pages))
    packages = {name for name in NAMES if any(n.startswith(f"{name}.") for n in NAMES)}
    assert {n for n in NAMES if "__" not in n} - packages <= anchors | packages


def test_every_link_leads_to_a_page(site):
    for page in site.rglob("*.html"):
        if page.name == "404.html":  # its links are those of a server's root
            continue
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r'(?:href|src)="([^"#?]+)', text):
            if not re.match(r"[a-z]+:", target):
                assert (page.parent / target).exists(), (page.name, target)


def test_nothing_is_asked_of_other_servers(site):
    text = (site / "index.html").read_text(encoding="utf-8")
    asked = re.findall(r'<(?:script|link|img)[^>]+(?:href|src)="(https?:[^"]+)', text)
    assert asked == []
