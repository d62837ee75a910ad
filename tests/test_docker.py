"""The container's files fit the package; they are built nowhere here."""

import configparser
import re
from pathlib import Path

import yaml

from landslide_tf.serving.kit import IMAGE

ROOT = Path(__file__).parent.parent
DOCKER = ROOT / "docker"


def test_the_build_gets_every_folder_of_the_package():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options"]["package_dir"].split("\n")
    folders = {line.split("=")[1].strip() for line in lines if line}
    asked = {"pyproject.toml", "setup.cfg", "constraints.txt", "README.md", "LICENSE"}
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    let = set(re.findall(r"^!(\S+)$", ignored, re.MULTILINE))
    assert let == folders | asked
    assert all((ROOT / name).exists() for name in let)


def test_the_image_runs_the_command_and_not_as_root():
    lines = (DOCKER / "Dockerfile").read_text(encoding="utf-8").splitlines()
    last = max(k for k, line in enumerate(lines) if line.startswith("FROM"))
    (user,) = [line.split()[1] for line in lines[last:] if line.startswith("USER")]
    assert user.split(":")[0] not in ("0", "root")
    assert 'ENTRYPOINT ["landslide-tf"]' in lines[last:]


def test_services_are_those_that_the_kit_starts_and_listen_here_alone():
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))["services"]
    assert services["serving"]["image"] == IMAGE
    assert all(port.startswith("127.0.0.1:") for port in services["serving"]["ports"])
    build = services["landslide-tf"]["build"]
    assert (DOCKER / build["context"] / build["dockerfile"]).is_file()
