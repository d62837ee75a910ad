"""What the README and the quick start tell to do works, word for word."""

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
import typer

from landslide_tf.cli.main import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUICK_START = (ROOT / "docs" / "quick_start.md").read_text(encoding="utf-8")
METHODS = {path.stem: path for path in sorted((ROOT / "docs/methods").glob("*.md"))}


def blocks(language, text=README):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands():
    """Every command in code blocks, and between backticks of README and quick start."""
    text = README + QUICK_START
    pages = (path.read_text(encoding="utf-8") for path in METHODS.values())
    scripts = blocks("bash", "\n".join((text, *pages)))
    lines = "".join(scripts).replace("\\\n", " ").splitlines()
    lines += re.findall(r"`(landslide-tf [^`\n]+)`", text)
    general = ("landslide-tf COMMAND", "landslide-tf --install-completion")
    lines = [line for line in lines if "…" not in line and not line.startswith(general)]
    found = []
    for line in lines:
        words = shlex.split(line, comments=True)
        for end in reversed([k for k, word in enumerate(words) if word == "&&"]):
            found.append(words[end + 1 :])
            words = words[:end]
        found.append(words)
    found = [words[1:] for words in found if words[:1] == ["landslide-tf"]]
    return [list(words) for words in dict.fromkeys(map(tuple, found))]


def parse(arguments):
    """Parses a command line as the program does, without running the command."""
    called = []

    def disarm(command, name):
        for child_name, child in getattr(command, "commands", {}).items():
            disarm(child, f"{name} {child_name}".strip())
        if not hasattr(command, "commands"):
            command.callback = lambda **options: called.append((name, options))

    program = typer.main.get_command(app)
    disarm(program, "")
    program.main(arguments, "landslide-tf", standalone_mode=False)
    return called


@pytest.mark.parametrize("arguments", commands(), ids=shlex.join)
def test_commands_exist(arguments):
    ((name, _options),) = parse(arguments)
    assert arguments[: len(name.split())] == name.split()


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150


def test_the_check_sees_wrong_commands():
    assert len(commands()) >= 7
    for wrong in ("trian x", "train x --eopchs 3", "evaluate", "demo x"):
        with pytest.raises(Exception, match=r"(?i)no such|missing|unexpected"):
            parse(shlex.split(wrong))


# A smaller network in a few steps; that of the README takes a minute.
SHORTER = {
    '["train", "test"]': '["train[:16]", "test[:8]"]',
    "epochs=2": "epochs=1",
    "width=0.125": "width=0.125, backbone='resnet18', backbone_layout='torchvision'",
}


@pytest.mark.integration
@pytest.mark.parametrize(
    "changes",
    [pytest.param({}, marks=pytest.mark.slow), SHORTER],
    ids=["as printed", "shorter"],
)
def test_the_python_block_runs(tiny_data, tmp_path, changes):
    (code,) = blocks("python")
    for old, new in changes.items():
        assert code.count(old) == 1
        code = code.replace(old, new)
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "TFDS_DATA_DIR": str(tiny_data), "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
    (export,) = tmp_path.rglob("saved_model.pb")
    served = tf.saved_model.load(export.parent).signatures["serving_default"]
    inputs = {"image": tf.zeros((1, 40, 56, 3)), "factors": tf.zeros((1, 40, 56, 3))}
    (y,) = served(**inputs).values()
    assert y.shape == (1, 40, 56, 6)
    # It used the set at hand, and left nothing else behind.
    assert [p.name for p in tmp_path.iterdir()] == [
        export.relative_to(tmp_path).parts[0]
    ]


@pytest.mark.integration
@pytest.mark.parametrize("name", METHODS)
def test_the_first_python_block_of_a_method_runs(name):
    code = blocks("python", METHODS[name].read_text(encoding="utf-8"))[0]
    exec(code, {})


def test_the_pages_of_methods_name_what_is_there():
    text = "".join(path.read_text("utf-8") for path in METHODS.values())
    places = (
        "models|layers|losses|metrics|objects|prepare|terrain|train|evidence|inventory"
    )
    names = set(re.findall(rf"`((?:{places})(?:\.\w+)+)`", text))
    assert len(names) > 40
    for name in sorted(names):
        found = importlib.import_module("landslide_tf")
        for part in name.split("."):
            if not hasattr(found, part):  # a module that nothing has imported yet
                importlib.import_module(f"{found.__name__}.{part}")
            found = getattr(found, part)
