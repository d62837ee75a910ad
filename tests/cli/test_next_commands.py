"""The commands that commands print run as they are printed, and find the same data."""

import re
import shlex
from pathlib import Path

import pytest

from landslide_tf.train import RunFolder
from tests.datasets import scene_files as files
from tests.train.continual.regions_recipe import write_recipe, write_region
from tests.train.evidential.branch_folders import Data
from tests.train.short_runs import FEW, SMALL, options

pytestmark = [
    pytest.mark.filterwarnings("ignore:Epoch 1 predicts no landslide"),
    pytest.mark.filterwarnings("ignore::landslide_tf.datasets.IncompleteDataWarning"),
    pytest.mark.filterwarnings("default:.*has no value:UserWarning"),
]

QUICK = ("--set=training.deterministic=false", "--set=training.epochs=1")


@pytest.fixture
def shell(command, tmp_path, monkeypatch):
    """Runs commands in an empty folder and returns those that they print."""
    monkeypatch.chdir(tmp_path)
    for name in ("TFDS_DATA_DIR", "LANDSLIDE_TF_MANUAL_DIR"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments, status=0):
        code, out, err = command(*arguments)
        assert code == status, err
        printed = re.findall(r"^ *(?:next: )?(landslide-tf .*)$", out, re.MULTILINE)
        assert out.count("landslide-tf ") == len(printed), out
        return [shlex.split(line)[1:] for line in printed]

    return run


@pytest.fixture
def prepared(shell, tmp_path):
    """The command that `prepare` prints, which trains on `my set`."""
    scene = files.write_scene(tmp_path / "my scene", size=(420, 72))
    given = ("--image", scene / "image.tif", "--labels", scene / "polygons.geojson")
    (train,) = shell("prepare", *given, "--tile", "32", "--out", "my set")
    assert train[0] == "train"
    return train


@pytest.mark.slow  # `test_prepare.py` trains and evaluates as the guide says
def test_from_a_scene_to_its_evaluation(shell, prepared):
    (evaluate,) = shell(*prepared, *QUICK)
    assert evaluate[:2] == ["evaluate", "runs/my set"]
    assert shell(*evaluate) == []


def test_a_prepared_set_is_found_by_its_folder_alone(command, prepared, tmp_path):
    """Where it is not, nothing is left behind."""
    elsewhere = tmp_path / "elsewhere"
    command.refuses(
        *("train", prepared[1], "--data-dir", elsewhere, *QUICK),
        message=f"`{elsewhere / 'landslide_scenes' / 'prepared' / '2.0.0'}` must hold",
    )
    assert not elsewhere.exists()


@pytest.mark.slow
def test_from_a_recipe_to_what_is_made_of_its_run(shell, tiny_data):
    data = ("--data-dir", tiny_data)
    (evaluate,) = shell(
        "train", "rae_d_synthetic", *options(SMALL), *data, "--no-report"
    )
    assert shell(*evaluate, "--pictures=0") == []
    run, target = evaluate[1], "synthetic_landslides/tiny"
    (evaluate,) = shell(
        *("finetune", run, "--data", target, "--samples", 1, "--out", "fine"),
        *(*data, "--set=data.test=test[:4]", "--set=training.epochs=1"),
    )
    assert evaluate[1] == "fine/samples-1" and shell(*evaluate, "--pictures=0") == []
    (evaluate,) = shell(
        *("adapt", run, "--target", f"{target}:validation[:6]", *data, "--out", "to"),
        *("--recipe", "ada_net_visible", "--aux-layer", "fc7_dropout"),
        *options(FEW),
    )
    assert evaluate[1] == "to" and "--data" in evaluate
    assert shell(*evaluate, "--pictures=0") == []
    (export,) = shell("import-weights", run, "--out", "other run")
    assert export[:2] == ["export", "other run"] and shell(*export) == []
    assert Path("exports", "other run", "1", "saved_model.pb").is_file()


@pytest.mark.filterwarnings(
    # keras-tuner 1.4
    "ignore:(currentThread|getName)\\(\\) is deprecated:DeprecationWarning"
)
@pytest.mark.slow
def test_the_recipe_that_a_search_finds(shell, tiny_data):
    (train,) = shell(
        *("tune", "rae_d_synthetic", *options(SMALL), "--data-dir", tiny_data),
        *("--trials", 1, "--out", "search"),
    )
    assert train[:2] == ["train", "search/best.yaml"]
    (evaluate,) = shell(*train, "--no-report")
    assert RunFolder(Path(evaluate[1])).model.is_file()


@pytest.mark.slow
def test_regions_and_the_search_around_them(shell, tmp_path):
    regions = [write_region(tmp_path / str(k), k) for k in (0, 1)]
    recipe = write_recipe(tmp_path / "regions.yaml", regions)
    (export,) = shell("continual", "train", recipe, "--out", "regions run")
    assert export[0] == "export" and shell(*export) == []
    (train,) = shell("continual", "tune", recipe, "--trials", 1, "--out", "search")
    assert train[:2] == ["continual", "train"]
    (export,) = shell(*train)
    assert export[0] == "export"


@pytest.mark.slow
def test_the_branches_of_an_evidential_classifier(shell, tmp_path):
    data = Data(tmp_path)
    folders = ("--data-dir", data.data_dir, "--manual-dir", data.manual_dir)
    (evaluate,) = shell("evidential", "train", data.recipe, *folders, "--out", "b")
    assert shell(*evaluate, "--no-degradations", "--pictures=0") == []
    (export,) = shell("train", data.recipe, *folders, "--out", "one")
    assert export[0] == "export" and shell(*export) == []


@pytest.mark.integration
def test_data_sets_are_built_and_collected(shell, tmp_path):
    folder = ("--data-dir", tmp_path / "my data")
    (build,) = shell("datasets", "info", "synthetic_landslides/tiny", *folder)
    assert shell(*build) == []
    assert shell("datasets", "info", "synthetic_landslides/tiny", *folder) == []
    table = tmp_path / "table.csv"
    table.write_text(
        "no,region,ll_lat,ll_lon,ur_lat,ur_lon,pre,post\n"
        "1,ETF,40.0,-85.0,40.001,-84.998,20120101,20140101\n"
    )
    (collect,) = shell("datasets", "plan", table, "--out", tmp_path / "the pairs")
    assert shell(*collect) == []


def test_a_build_that_failed_is_no_set(shell, command, tmp_path):
    out = ("--data-dir", tmp_path / "data", "--manual-dir", tmp_path)
    command.refuses("datasets", "build", "mmls", *out, message="MANUAL_DIR")
    _, out, _ = command("doctor", *out)
    (row,) = (line for line in out.splitlines() if "data set mmls " in line)
    assert row.split(maxsplit=3)[3].strip() == "not built"
