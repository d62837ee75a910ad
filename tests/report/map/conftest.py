import pytest

from tests.report.map.scenes import scene, whole_page


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return scene(tmp_path_factory.mktemp("map"))


@pytest.fixture(scope="module")
def page(folder):
    return whole_page(folder, folder / "map page.html")
