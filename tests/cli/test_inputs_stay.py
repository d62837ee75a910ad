"""Every command leaves what it reads as it was, wherever its outputs are pointed."""

import os
import re
import shutil
import stat
from datetime import date
from pathlib import Path

import pytest
import typer

from landslide_tf.cli.main import app
from landslide_tf.inventory import MappedScene, add_scene
from landslide_tf.mapping import Outputs, SceneFiles, map_scene
from landslide_tf.objects import DEFAULT_RULES, write_rules
from landslide_tf.pipelines import export_arrays
from landslide_tf.serving import export
from landslide_tf.train import Session, load_recipe, train
from landslide_tf.train.evidential.predictions import Predictions, write_predictions
from tests.cli.scene_files import state, write_scene_files
from tests.cli.test_datasets import TABLE
from tests.datasets import scene_files
from tests.mapping import transparent
from tests.train.continual.regions_recipe import write_recipe, write_region
from tests.train.evidential.branch_folders import RECIPE, Data
from tests.train.short_runs import SMALL

pytestmark = [
    pytest.mark.filterwarnings("ignore:Epoch 1 predicts no landslide"),
    pytest.mark.filterwarnings("ignore::landslide_tf.datasets.IncompleteDataWarning"),
    pytest.mark.filterwarnings("default:.*has no value:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*holds one class only:UserWarning"),
    pytest.mark.filterwarnings(  # keras-tuner 1.4
        "ignore:(currentThread|getName)\\(\\) is deprecated:DeprecationWarning"
    ),
]

DATA = "synthetic_landslides/tiny"
QUICK = ("--set=training.deterministic=false", "--set=training.epochs=1")
GRID = """
description: one row
rows:
  - {name: small, recipe: recipe.yaml}
seeds: [0]
"""
EVENTS = (
    "OBJECTID,Date,Fatalities,Confidence,Inventory,LS_ID,Info_source,InventoryURL,"
    "Notes,Latitude,Longitude,US Level I ecoregion\n"
    "7,20110927,,8,State,42,,,,35.5,-82.5,NWFM\n"
)
# Options and arguments that name files or folders which a command reads.
READ = {
    "--adapt", "--area", "--arrays", "--before of recognise", "--data-dir", "--dem",
    "--factor", "--image", "--inventory", "--labels", "--like", "--manual-dir", "--map",
    "--map-before", "--mask", "--metadata", "--names", "--ndvi of prepare", "--points",
    "--probabilities of inventory add", "--probabilities of recognise",
    "--recipe of adapt", "--reference", "--regions of inventory add",
    "--regions of map", "--resume", "--rules", "--scenes", "--validation",
    "--vector of inventory add", "--within", "database", "dem", "folder", "folders",
    "grid", "map_file", "maps", "model", "name of recipes show", "recipe", "run",
    "source", "table",
}  # fmt: skip
# Options and arguments whose text names no file.
WORDS = {
    "--argument", "--aux-layer", "--bands", "--beam-runner",
    "--before of inventory add", "--box", "--calibrate", "--change", "--class-field",
    "--classes", "--confidence", "--coordinator", "--data", "--date", "--dem-unit",
    "--devices",
    "--distances", "--edges", "--freeze", "--from", "--layer", "--method", "--methods",
    "--model", "--models", "--outside", "--patches", "--permute", "--points-layer",
    "--positive",
    "--ray", "--region", "--regions of datasets plan", "--sampling", "--scale",
    "--scene", "--sensor", "--set", "--signature", "--target", "--to", "--trigger",
    "--type", "--vary", "--volume-law", "data",
}  # fmt: skip
REFUSED = (
    "cannot be written over", " holds `", "must be a new or an empty folder",
    "must be a folder", "must be a file", "must name a file", "must end in",
    "not an empty folder", "neither empty nor a search", "as a part of",
    "cannot be made a folder",
)  # fmt: skip


def leaves(group, name=()):
    """The commands of `landslide-tf`, by their words."""
    for key, child in group.commands.items():
        if hasattr(child, "commands"):
            yield from leaves(child, (*name, key))
        else:
            yield " ".join((*name, key)), child


COMMANDS = dict(leaves(typer.main.get_command(app)))


def branches(folder):
    """Writes what `evidential train` leaves, but for the networks."""
    for part in ("validation", "test"):
        (folder / part).mkdir(parents=True)
        for branch, chance in (("h", 0.2), ("s", 0.6), ("v", 0.7)):
            found = Predictions(
                ("a.png", "b.png"), [0, 1], [[1 - chance, chance], [chance, 1 - chance]]
            )
            write_predictions(found, folder / part / f"{branch}.csv")
    (folder / "evidential.yaml").write_text(RECIPE)


@pytest.fixture(scope="module")
def world(tmp_path_factory, tiny_data):
    """A folder with something of every kind that commands read, all read-only."""
    w = tmp_path_factory.mktemp("world")
    write_scene_files(w / "scenes")
    scene_files.write_scene(w / "own", size=(420, 72))
    transparent.write(w / "transparent")
    shutil.copytree(tiny_data, w / "data")
    (w / "recipe.yaml").write_text(
        load_recipe("rae_d_synthetic", SMALL).model_dump_json()
    )
    run = train(load_recipe(w / "recipe.yaml"), w / "run", Session(w / "data"))
    export_arrays(DATA, w / "arrays", data_dir=w / "data")
    export(run.load_model(), w / "exports", metadata=run.read_metadata(), warm_up=None)
    (w / "grid.yaml").write_text(GRID)
    regions = [write_region(w / "regions" / str(k), k) for k in (0, 1)]
    write_recipe(w / "regions.yaml", regions)
    branches(w / "branches")
    (w / "events.csv").write_text(EVENTS)
    (w / "names.yaml").write_text("{}\n")
    write_rules(DEFAULT_RULES, w / "rules.yaml")
    (w / "table.csv").write_text(TABLE)
    (w / "list.csv").write_text("image,date\nscenes/outer.vrt,2024-05-31\n")
    (w / "mapped").mkdir()
    outputs = Outputs(w / "mapped/m.tif", vector=(w / "mapped/m.gpkg",))
    scene = SceneFiles((str(w / "scenes/scene.tif"),))
    map_scene([transparent.member(transparent.RED)], scene, outputs)
    mapped = MappedScene(
        map=outputs.out, polygons=outputs.vector[0], date=date(2024, 5, 31)
    )
    add_scene(w / "inventory.gpkg", mapped)
    for path in (w, *w.rglob("*")):
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    yield w
    for path in (w, *w.rglob("*")):
        path.chmod(path.stat().st_mode | stat.S_IWUSR)


@pytest.fixture
def there(world, tmp_path, monkeypatch):
    """Leaves the user in an empty folder, and sees whether the world has changed."""
    for name in ("TFDS_DATA_DIR", "LANDSLIDE_TF_MANUAL_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    before = state(world)
    yield world
    assert state(world) == before


# What each command is given besides its outputs: `{…}` is of the world.
GIVEN = {
    "adapt": "{run} --target synthetic_landslides/tiny:validation[:6] --data-dir {data}"
    " --recipe ada_net_visible --aux-layer fc7_dropout --set training.batch_size=4"
    " --set adaptation.filters=2",
    "benchmark": "{grid.yaml} --data-dir {data}",
    "changes": "{scenes/map1.tif} {scenes/map2.tif} --image {scenes/outer.vrt}"
    " --image {scenes/scene.tif} --dem {scenes/dem.tif}",
    "continual matrix": "{regions.yaml} --methods fresh --methods tsmu",
    "continual train": "{regions.yaml}",
    "continual tune": "{regions.yaml} --trials 1",
    "datasets build": "synthetic_landslides/tiny --data-dir {data}",
    "datasets check": "synthetic_landslides/tiny --data-dir {data}",
    "datasets collect": "pairs",
    "datasets export-arrays": "synthetic_landslides/tiny:test --data-dir {data}",
    "datasets info": "synthetic_landslides/tiny --data-dir {data}",
    "datasets list": "",
    "datasets plan": "{table.csv}",
    "demo": "",
    "doctor": "--data-dir {data} --manual-dir {own}",
    "evaluate": "{run} --data-dir {data} --pictures 1",
    "evaluate-map": "{scenes/map1.tif} --reference {scenes/truth.gpkg}"
    " --within {scenes/truth.shp}",
    "evidential evaluate": "{branches} --no-degradations --pictures 0",
    "evidential fuse": "{branches}",
    "evidential train": "evidential.yaml",
    "export": "{run}",
    "finetune": "{run} --data synthetic_landslides/tiny --samples 0 --samples 1"
    " --data-dir {data} --set data.test=test[:4]",
    "import-weights": "{run/model.keras} --like {run}",
    "inventory add": "--map {mapped/m.tif} --vector {mapped/m.gpkg} --date 2024-05-31",
    "inventory export": "{inventory.gpkg}",
    "inventory list": "{inventory.gpkg}",
    "inventory stats": "{inventory.gpkg} --cell 100",
    "map": "{transparent} --image {scenes/outer.vrt} --dem {scenes/dem.tif}"
    " --within {scenes/truth.shp} --mask {scenes/mask.tif} --window 64 --overlap 16",
    "map-region": "{transparent} --scenes {list.csv} --dem {scenes/dem.tif} --window 64"
    " --overlap 16 --min-area 0",
    "prepare": "--image {own/image.tif} --labels {own/polygons.geojson}"
    " --dem {own/dem.tif} --tile 32",
    "recipes list": "",
    "recipes show": "{recipe.yaml}",
    "train": "{recipe.yaml} --arrays {arrays} --data-dir {data}",
    "recognise": "--map {mapped/m.tif} --rules none",
    "terrain": "{scenes/dem.tif} --image {scenes/scene.tif}",
    "tune": "{recipe.yaml} --arrays {arrays} --trials 1",
}
# What else they read: each is given besides, and the outputs are pointed at it. Some
# are of other models or other kinds of maps, since outputs are looked at before these.
FURTHER = {
    "adapt": [
        "--recipe {recipe.yaml}", "--arrays {arrays}", "--manual-dir {own}",
    ],
    "benchmark": ["--manual-dir {own}"],
    "changes": ["--mask {scenes/mask.tif}:1", "--within {scenes/truth.gpkg}:truth"],
    "continual matrix": [
        "--arrays {arrays}", "--data-dir {data}", "--manual-dir {own}",
    ],
    "continual train": [
        "--arrays {arrays}", "--data-dir {data}", "--manual-dir {own}",
    ],
    "continual tune": [
        "--arrays {arrays}", "--data-dir {data}", "--manual-dir {own}",
    ],
    "datasets export-arrays": ["--manual-dir {own}"],
    "datasets plan": ["--inventory {events.csv}"],
    "evaluate": [
        "--arrays {arrays}", "--manual-dir {own}",
        "--metadata {transparent/model.json}",
    ],
    "evaluate-map": ["--mask {scenes/mask.tif}:1"],
    "export": ["--arrays {arrays}", "--data-dir {data}", "--manual-dir {own}"],
    "evidential fuse": ["--validation {branches/validation}"],
    "finetune": ["--arrays {arrays}", "--manual-dir {own}"],
    "import-weights": ["--names {names.yaml}"],
    "inventory add": [
        "--area {scenes/truth.gpkg}", "--dem {scenes/dem.tif}",
        "--probabilities {scenes/dem.tif}", "--regions {scenes/truth.shp}:kind",
    ],
    "map": [
        "--factor ndvi={scenes/dem.tif}", "--mask {scenes/map2.tif}:1,2",
        "--metadata {transparent/model.json}", "--regions {scenes/truth.shp}:kind",
        "--within {scenes/truth.gpkg}:truth",
    ],
    "map-region": [
        "--mask {scenes/map2.tif}:1,2", "--metadata {transparent/model.json}",
        "--within {scenes/truth.gpkg}:truth",
    ],
    "prepare": [
        "--mask {scenes/mask.tif}:1", "--ndvi {scenes/dem.tif}",
        "--points {scenes/truth.shp}", "--within {scenes/truth.gpkg}:truth",
    ],
    "recognise": [
        "--adapt {recipe.yaml}", "--before {scenes/scene.tif}",
        "--data-dir {data}", "--dem {scenes/dem.tif}", "--manual-dir {own}",
        "--image {scenes/outer.vrt}", "--map-before {scenes/map1.tif}",
        "--metadata {transparent/model.json}", "--probabilities {scenes/dem.tif}",
        "--reference {scenes/truth.shp}", "--rules {rules.yaml}",
        "--validation {scenes/truth.gpkg}:truth", "--within {scenes/truth.gpkg}:truth",
    ],
    "train": ["--manual-dir {own}"],
    "tune": ["--data-dir {data}", "--manual-dir {own}"],
}  # fmt: skip
# Where each writes, unless it writes nowhere but as `--data-dir` says.
WRITTEN = {
    "adapt": {"--out": "to"},
    "benchmark": {"--out": "comparison"},
    "changes": {"--out": "changes", "--report": "changes.html"},
    "continual matrix": {"--out": "matrix"},
    "continual train": {"--out": "regions", "--export": "served"},
    "continual tune": {"--out": "search"},
    "datasets export-arrays": {"--out": "arrays"},
    "datasets plan": {"--out": "pairs"},
    "demo": {"--out": "demo"},
    "evaluate": {"--out": "report"},
    "evaluate-map": {"--out": "scores.json"},
    "evidential evaluate": {"--out": "report"},
    "evidential fuse": {"--out": "fused.csv", "--export": "served"},
    "evidential train": {"--out": "branches"},
    "export": {"--out": "served", "--kit": "server"},
    "finetune": {"--out": "fine"},
    "import-weights": {"--out": "imported"},
    "inventory add": {"database": "slides.gpkg"},
    "inventory export": {"out": "slides.csv"},
    "inventory stats": {"--report": "s.html", "--density": "d.tif", "--out": "s.json"},
    "map": {
        "--out": "m.tif", "--vector": "m.gpkg", "--probabilities": "p.tif",
        "--uncertainty": "u.tif", "--report": "m.html",
    },
    "map-region": {"--out": "region"},
    "prepare": {"--out": "set"},
    "recognise": {"--out": "recognised"},
    "terrain": {
        "--out": "layers", "--slope": "slope.tif", "--aspect": "aspect.tif",
        "--hillshade": "shade.tif", "--ndvi": "ndvi.tif",
    },
    "train": {"--out": "trained", "--export": "served"},
    "tune": {"--out": "search"},
}  # fmt: skip
BRACES = re.compile(r"\{(.*?)\}")
SLOW = {
    "adapt", "benchmark", "continual matrix", "continual train", "continual tune",
    "finetune", "tune",
}  # fmt: skip
TRAIN = {"adapt", "finetune", "tune"}
# There are no networks, and each layer has a file of its own.
LEFT_OUT = {"evidential fuse": {"--export": None}, "terrain": {"--out": None}}
RESUMED = {"adapt", "continual train", "train"}  # with `--resume`
# Tried below with inputs of their own, or where it is trained.
APART = {"datasets collect", "demo", "evidential evaluate", "evidential train"}


def in_world(text, world):
    """The words of a text, with a path of the world for each `{…}`."""
    return [BRACES.sub(lambda m: str(world / m[1]), word) for word in text.split()]


def words(name, world, **outputs):
    """The words of a command, its outputs as `WRITTEN` has them unless they are given.

    Args:
        name: The command.
        world: The folder that `{…}` stands for.
        outputs: Places by option; None is not given.
    """
    there = in_world(GIVEN[name], world)
    places = WRITTEN.get(name, {}) | outputs
    chosen = [
        word
        for option, place in places.items()
        if place is not None
        for word in (option, place)
        if word.startswith("--") or word == place  # the place alone of an argument
    ]
    return [*name.split(), *there, *chosen]


def is_in(word, name, known):
    return not {word, f"{word} of {name}"}.isdisjoint(known)


def named_of(command):
    """The options and arguments whose value is a text or a path, by their words."""
    for parameter in command.params:
        kind = str(parameter.type_descriptor.annotation)
        if "Path" in kind or "str" in kind:
            yield next((o for o in parameter.opts if o[:2] == "--"), parameter.name)


def test_every_command_and_every_option_that_names_a_file_is_known():
    assert sorted(GIVEN) == sorted(COMMANDS)
    for name, command in COMMANDS.items():
        named = {word for word in named_of(command) if not is_in(word, name, WORDS)}
        read = {word for word in named if is_in(word, name, READ)}
        written = set(WRITTEN.get(name, {}))
        assert named - read == written - READ, name
        given = " ".join([GIVEN[name], *FURTHER.get(name, ())]).split()
        options = {word for word in read if word.startswith("--")}
        if written and name not in APART:
            assert options - {"--resume"} <= set(given), name  # in the recipe's place


@pytest.mark.integration
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name in sorted(set(COMMANDS) - APART)
    ],
)
def test_what_is_read_stays_as_it_was(command, there, name):
    more = LEFT_OUT.get(name, {})
    given = [*words(name, there, **more), *(QUICK if name in TRAIN else ())]
    code, _, err = command(*given)
    assert code == 0, err
    for option, place in WRITTEN.get(name, {}).items():
        assert Path(place).exists() or option in more
    code, _, err = command(*given)
    if name in RESUMED:
        assert code == 2 and "resume it with `--resume`" in err
    else:
        assert code == 0, err


def outputs_and_inputs():
    """Each output of each command with each of the files and folders that it reads."""
    for name, places in WRITTEN.items():
        for option in places:
            for word in filter(BRACES.search, GIVEN[name].split()):
                yield pytest.param(name, option, word, "", id=f"{name} {option} {word}")
            for more in FURTHER.get(name, ()):
                word = more.split()[-1]
                yield pytest.param(
                    name, option, word, more, id=f"{name} {option} {more}"
                )


@pytest.mark.slow
@pytest.mark.parametrize(("name", "option", "word", "more"), [*outputs_and_inputs()])
def test_no_output_is_pointed_at_an_input(command, there, name, option, word, more):
    place = there / BRACES.search(word)[1]
    link = Path("link").with_suffix(Path(WRITTEN[name][option]).suffix)
    link.symlink_to(place)
    # Spellings of a path are tried with what is given anyway.
    targets = [place] if more else [place, link, os.path.relpath(place)]
    adds = name in ("datasets plan", "terrain")  # to a folder of other files
    if place.is_file() and not adds:
        targets.append(place.parent)
    # A folder is for the layers that no other option names.
    alone = name == "terrain" and option == "--out"
    others = dict.fromkeys(WRITTEN[name]) if alone else {}
    overwrite = any("--overwrite" in p.opts for p in COMMANDS[name].params)
    for target in targets:
        for last in ([], ["--overwrite"])[: 1 + overwrite]:
            outputs = others | {option: str(target)}
            arguments = [*words(name, there, **outputs), *in_world(more, there), *last]
            code, _, err = command(*arguments)
            lines = [line for line in err.splitlines() if line.startswith("error: ")]
            assert code == 2 and len(lines) == 1, err
            assert "Traceback" not in err
            assert any(text in lines[0] for text in REFUSED), lines[0]
            assert list(Path().iterdir()) == [link]


def test_a_run_that_is_resumed_is_not_exported_into_itself(command, there):
    run = there / "run"
    code, _, err = command("train", "--resume", run, "--export", run)
    assert code == 2 and any(text in err for text in REFUSED), err


@pytest.mark.parametrize("place", ["transparent", "scenes", "scenes/scene.tif"])
def test_recognition_is_not_pointed_at_model_or_scene(command, there, place):
    code, _, err = command(
        *("recognise", there / "transparent", "--image", there / "scenes/scene.tif"),
        *("--out", there / place),
    )
    assert code == 2 and any(text in err for text in REFUSED), err
    assert not list(Path().iterdir())


def test_collecting_adds_to_its_folder_alone(command, there):
    assert command(*words("datasets plan", there))[0] == 0
    before = state(Path("pairs"))
    for _ in range(2):
        code, _, err = command("datasets", "collect", "pairs")
        assert code == 0, err
        after = state(Path("pairs"))
        assert after.pop("collected.csv")
        assert after == before


@pytest.mark.parametrize("out", [True, False])
def test_an_evaluation_adds_to_its_run_alone(command, world, tmp_path, out):
    shutil.copytree(world / "run", tmp_path / "run")
    before = state(tmp_path / "run")
    place = ("--out", tmp_path / "report") if out else ()
    for _ in range(2):
        code, _, err = command(
            *("evaluate", tmp_path / "run", "--data-dir", world / "data", *place)
        )
        assert code == 0, err
        after = state(tmp_path / "run")
        added = {name.split("/")[0] for name in after.keys() - before.keys()}
        assert added == (set() if out else {"report", "report.html"})
        assert {name: after[name] for name in before} == before


@pytest.mark.slow
def test_branches_and_their_data_stay_as_they_were(command, there, tmp_path):
    data = Data(tmp_path)
    folders = ("--data-dir", data.data_dir, "--manual-dir", data.manual_dir)
    read = [data.manual_dir]
    first = state(data.manual_dir)
    given = ("evidential", "train", data.recipe, *folders, "--out", "branches")
    for _ in range(2):
        code, _, err = command(*given)
        assert code == 0, err
        assert state(data.manual_dir) == first
    read = [tmp_path / "tfds", data.manual_dir, Path("branches")]
    before = [state(path) for path in read]
    for _ in range(2):
        code, _, err = command(
            *("evidential", "evaluate", "branches", *folders, "--pictures", 1),
            *("--out", "report"),
        )
        assert code == 0, err
        assert [state(path) for path in read] == before
