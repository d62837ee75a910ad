"""`landslide-tf datasets`: building and checking, as a user runs them."""

import pytest

from tests.datasets import bijie_files

pytestmark = pytest.mark.filterwarnings(
    "ignore::landslide_tf.datasets.base.IncompleteDataWarning"
)


@pytest.fixture
def places(tmp_path):
    bijie_files.write_bijie(tmp_path / "manual")
    return "--data-dir", tmp_path / "data", "--manual-dir", tmp_path / "manual"


def test_check_builds_what_is_missing_and_ends_with_1_where_parts_share_ground(
    command, places
):
    code, out, _ = command("datasets", "check", "bijie_landslide", *places)
    assert code == 0
    assert "shared ground inside parts: 1 pairs" in out
    assert "shared ground between parts: 0 pairs" in out
    data = "bijie_landslide/segmentation-random"
    code, out, err = command("datasets", "check", data, *places)
    assert code == 1
    assert "qx007" in out and "68 %, by pixels" in out
    assert "error" not in err and "Traceback" not in err


def test_check_refuses_what_is_not_there(command, places):
    command.refuses("datasets", "check", "bijie_landslid", message="`bijie_landslide`")
    nowhere = (*places[:2], "--manual-dir", places[1])
    command.refuses(
        "datasets", "check", "bijie_landslide", *nowhere,
        message="expects `Bijie-landslide-dataset/landslide/",
    )  # fmt: skip


def test_help_of_check(command):
    code, out, _ = command("datasets", "check", "--help")
    assert code == 0 and "status 1" in out
