"""axe-core, which knows the rules of accessible pages; from npm, where there is one."""

import functools
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

VERSION = "4.14.1"
NAME = f"axe-core@{VERSION}"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@functools.cache
def script():
    """The text of axe-core; None where npm cannot be had or does not give it.

    `AXE_CORE` may name a folder in which it is installed.
    """
    if given := os.environ.get("AXE_CORE"):
        return Path(given, "axe.min.js").read_text(encoding="utf-8")
    if shutil.which("npm") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "install", "--no-save", "--ignore-scripts", NAME]
        done = subprocess.run(
            [*command, "--prefix", folder], capture_output=True, timeout=120
        )
        file = Path(folder, "node_modules", "axe-core", "axe.min.js")
        if done.returncode or not file.is_file():
            return None
        return file.read_text(encoding="utf-8")


def violations(browser):
    """What axe-core has to say against the page: rule and first elements."""
    browser.value(f"{script()}; 0")
    how = json.dumps({"runOnly": _RULES})
    found = browser.value(f"axe.run(document, {how}).then(r => r.violations)")
    return [
        (v["id"], [(n["target"], n["failureSummary"]) for n in v["nodes"][:3]])
        for v in found
    ]
