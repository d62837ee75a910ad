import inspect
import re
import shlex

import pytest
import typer

from landslide_tf.cli.main import app

COMMANDS = [
    ("demo",),
    ("doctor",),
    ("prepare",),
    ("train",),
    ("tune",),
    ("adapt",),
    ("finetune",),
    ("evaluate",),
    ("benchmark",),
    ("export",),
    ("map",),
    ("map-region",),
    ("evaluate-map",),
    ("recognise",),
    ("evidential",),
    ("evidential", "train"),
    ("evidential", "fuse"),
    ("evidential", "evaluate"),
    ("import-weights",),
    ("continual",),
    ("continual", "train"),
    ("continual", "matrix"),
    ("continual", "tune"),
    ("changes",),
    ("inventory",),
    ("inventory", "add"),
    ("inventory", "list"),
    ("inventory", "export"),
    ("inventory", "stats"),
    ("terrain",),
    ("datasets",),
    ("datasets", "list"),
    ("datasets", "info"),
    ("datasets", "build"),
    ("datasets", "export-arrays"),
    ("datasets", "plan"),
    ("datasets", "collect"),
    ("datasets", "check"),
    ("recipes",),
    ("recipes", "list"),
    ("recipes", "show"),
]

# Training in this process: TensorFlow has started, its threads are set.
HERE = ("--set=training.deterministic=false",)


def child(name):
    """The command of a name, as Typer builds it."""
    found = typer.main.get_command(app)
    for word in name:
        found = found.commands[word]
    return found


@pytest.mark.integration
@pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
def test_help_is_short_for_what_it_describes(command, name):
    code, out, _ = command(*name, "--help")
    assert code == 0
    lines = out.splitlines()
    described = len(child(name).params) + len(getattr(child(name), "commands", {}))
    assert 3 < len(lines) <= 20 + 4 * described
    assert all(len(line) <= 80 for line in lines)


def test_the_first_help_fits_a_long_screen(command):
    code, out, _ = command("--help")
    lines = out.splitlines()
    assert code == 0 and len(lines) <= 70 and all(len(line) <= 80 for line in lines)
    panels = ("Start here", "Data", "Train", "Evaluate", "Map", "Serve", "Methods")
    assert all(f"╭─ {panel} ─" in out for panel in panels)
    assert "--install-completion" in out


@pytest.mark.integration
@pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
def test_every_option_is_explained(name):
    for parameter in child(name).params:
        if parameter.name != "help":
            assert parameter.help[-1] in ".`" and len(parameter.help) >= 15, parameter


def examples():
    """Commands and the examples in their help."""
    for name in COMMANDS:
        text = inspect.cleandoc(child(name).help).replace("\\\n", " ")
        for line in re.findall(r"^Example: landslide-tf (.*)$", text, re.MULTILINE):
            yield pytest.param(name, shlex.split(line), id=" ".join(name))


@pytest.mark.parametrize(("name", "words"), list(examples()))
def test_examples_parse(name, words):
    assert tuple(words[: len(name)]) == name
    found = child(name)
    found.make_context(" ".join(name), words[len(name) :])


@pytest.mark.integration
def test_every_command_that_works_has_an_example():
    shown = {example.values[0] for example in examples()}
    without = {name for name in COMMANDS if not hasattr(child(name), "commands")}
    assert without - shown == {("datasets", "plan"), ("datasets", "collect")}


AGAIN = (
    ("demo",),
    ("benchmark",),
    ("continual", "matrix"),
    ("continual", "tune"),
    ("evidential", "train"),
    ("finetune",),
    ("map",),
    ("tune",),
)


def test_every_command_says_in_the_same_words_how_it_is_resumed(command):
    for name in AGAIN:
        _, out, _ = command(*name, "--help")
        words = " ".join(out.split())
        assert "The same command resumes it after an interruption" in words, name
    for name in (("train",), ("continual", "train"), ("adapt",)):
        _, out, _ = command(*name, "--help")
        assert "--resume RUN" in out, name


def options(group, name=""):
    """Yields command and option of everything below a group of commands."""
    for key, child in getattr(group, "commands", {}).items():
        yield from options(child, f"{name} {key}".strip())
    for parameter in group.params:
        for option in parameter.opts:
            if option.startswith("--"):
                yield name, option, parameter


@pytest.mark.parametrize(
    "option", ["--set", "--data-dir", "--manual-dir", "--arrays", "--resume", "--seeds"]
)
def test_an_option_of_several_commands_means_one_thing(option):
    found = {
        name: (parameter.help, parameter.envvar, parameter.multiple, parameter.default)
        for name, given, parameter in options(typer.main.get_command(app))
        if given == option
    }
    assert len(found) >= 2
    assert len(set(found.values())) == 1, found


@pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
def test_an_unknown_option_is_status_2(command, name):
    code, _, err = command(*name, "--no-such-option")
    assert code == 2 and "--no-such-option" in err


def test_doctor_lists_versions_folders_and_data_sets(command, tiny_data):
    code, out, _ = command("doctor", "--data-dir", tiny_data)
    assert code == 0
    for word in ("tensorflow", "keras", "GDAL", "backend", "threads", "precision"):
        assert word in out
    assert f"{tiny_data} (writable)" in " ".join(out.split())
    built = next(line for line in out.splitlines() if "synthetic_landslides" in line)
    assert built.split()[-1] == "tiny"
    assert out.splitlines()[-1].startswith("ready: ")


def test_doctor_says_what_is_to_be_put_right(command, tmp_path):
    file = tmp_path / "data"
    file.touch()
    for folder in (file, file / "below"):
        code, out, _ = command("doctor", "--data-dir", folder)
        assert code == 1
        last = " ".join(out.split()).split("not ready: ")[1]
        assert last.startswith(f"the data folder `{folder}` is ")


def test_data_sets_are_listed_described_and_built(command, tiny_data):
    code, out, _ = command("datasets", "list")
    assert code == 0 and "mmls" in out and "clean" in out
    data = "synthetic_landslides/tiny"
    code, out, _ = command("datasets", "info", data, "--data-dir", tiny_data)
    assert code == 0
    assert "class 0  landslide (landslide)" in out
    assert "160 examples" in out and "not built" not in out
    code, out, _ = command("datasets", "build", data, "--data-dir", tiny_data)
    assert code == 0 and "test: 40 examples" in out


def test_recipes_are_listed_and_shown(command):
    code, out, _ = command("recipes", "list")
    assert code == 0 and "fstf_net_mmls" in out
    code, out, _ = command("recipes", "show", "fstf_net_mmls")
    assert code == 0 and "batch_size: 8" in out


@pytest.mark.integration
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["training.epoch=1"], "unknown key `training.epoch`"),
        (["model.name=fstfnet"], "`fstf_net`"),
        (["model.arguments.backbone=resnet51"], "resnet50"),
        (["training.monitor=val_iou"], "no `val_iou`"),
        (["loss.class_weights=[1,2]"], "expected 6 weights"),
        (["loss.class_weights=[0,0,0,0,0,0]"], "not all 0"),
        (["data.image=[red,green,nir]"], "no band or factor `nir`"),
        (["data.fill={dem: median}"], "`data.fill` names `dem`"),
        (["data.name=mmls/cleen"], "`clean`"),
        (["data.name=wenchuan"], "no data set `wenchuan`"),
        (["data.train=trains"], "no split `trains`"),
        (["training.batch_size=1000"], "at most 160"),
        (["training.devices=2"], "expected at most 1, the CPUs"),
        (["schedule.kind=step"], "`steps` of at least 1"),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused(
    command, tiny_data, tmp_path, changes, message
):
    run = tmp_path / "run"
    options = [f"--set={change}" for change in changes]
    command.refuses(
        "train",
        "fstf_net_synthetic",
        f"--out={run}",
        f"--data-dir={tiny_data}",
        *HERE,
        *options,
        message=message,
    )
    assert not run.exists()


def test_what_is_missing_is_named(command, tmp_path):
    nowhere = tmp_path / "nowhere"
    out = ("--out", tmp_path / "out")
    command.refuses("train", message="Give either a recipe or `--resume RUN`")
    command.refuses("train", nowhere.with_suffix(".yaml"), message="does not exist")
    command.refuses("train", "--resume", nowhere, message="no `recipe.yaml`")
    command.refuses("train", "--resume", nowhere, *out, message="own recipe")
    command.refuses("train", "--resume", nowhere, "--devices=2", message="own recipe")
    command.refuses(
        "train", "fstf_net_synthetic", *out, *HERE, "--devices=2", message="at most 1"
    )
    command.refuses("tune", nowhere.with_suffix(".yaml"), message="does not exist")
    command.refuses("evaluate", nowhere, message=str(nowhere))
    command.refuses("benchmark", "synthtic", message="Did you mean `synthetic`")
    command.refuses("benchmark", nowhere.with_suffix(".yaml"), message="not exist")
    command.refuses("export", nowhere, *out, message=str(nowhere))
    command.refuses("import-weights", nowhere, *out, message="received `")
    name = ("--out", tmp_path / "out", "--data-dir", tmp_path / "data")
    command.refuses("datasets", "export-arrays", "mmlz", *name, message="`mmls`")
    command.refuses("recipes", "show", "fstf", message="no recipe `fstf`")
    command.refuses("datasets", "info", "mmlz", message="`mmls`")
    command.refuses(
        "datasets",
        "build",
        "mmls",
        "--data-dir",
        tmp_path / "data",
        "--manual-dir",
        nowhere,
        message=str(nowhere),
    )
    assert not (tmp_path / "out").exists()


def test_the_demo_does_not_overwrite(command, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    command.refuses("demo", "--out", tmp_path, message="`mine.txt` is there")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
