"""Branches from training to predictions, fusion, evaluation and export."""

import csv
import json

import numpy as np
import pytest

from landslide_tf.errors import DataError, RecipeError, RunError
from landslide_tf.evidence import fuse_branches
from landslide_tf.metrics import image_scores
from landslide_tf.pipelines import branch_image, load
from landslide_tf.serving import export
from landslide_tf.serving import load as load_served
from landslide_tf.train import (
    evaluate_branches,
    evaluate_run,
    evidential_model,
    fuse_folder,
    load_recipe,
    train,
    train_branches,
)
from landslide_tf.train.evidential.branches import load_part
from landslide_tf.train.evidential.fusion import calibrated, fit_temperatures
from landslide_tf.train.search.space import SearchSpace
from tests.train.evidential.branch_folders import Data

SMALL_BRANCHES = ("h", "s", "v")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return Data(tmp_path_factory.mktemp("bijie"))


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    return data.train(tmp_path_factory.mktemp("runs") / "small")


@pytest.mark.integration
def test_every_branch_is_a_run_with_predictions_of_both_parts(folder, data):
    assert folder.branches == SMALL_BRANCHES
    recipe = folder.read_recipe()
    for branch in SMALL_BRANCHES:
        run = folder.run(branch)
        assert run.read_recipe().classification.branch == branch
        metadata = run.read_metadata()
        assert metadata.task == "classification" and metadata.landslide_class == 1
        assert metadata.classes == ["non-landslide", "landslide"]
        for part in ("validation", "test"):
            with (folder.path / part / f"{branch}.csv").open() as stream:
                rows = list(csv.DictReader(stream))
            store = load_part(recipe, part, data.session)
            assert [row["File"].split("/")[1] for row in rows] == [
                f"{name}.png" for name in store.ids
            ]
            for row, positive in zip(rows, store.positive, strict=True):
                assert row["True_label"] == (
                    "landslide" if positive else "non-landslide"
                )
                assert row["File"].startswith(row["True_label"] + "/")
                assert (row["Success"] == "True") == (
                    row["Pre_label"] == row["True_label"]
                )


@pytest.mark.integration
def test_predictions_are_those_of_the_branch_on_its_images(folder, data):
    recipe = folder.read_recipe()
    store = load_part(recipe, "test", data.session)
    table = folder.predictions("test")
    model = folder.run("s").load_model()
    from tensorflow import image as tf_image

    for name, example in zip(store.ids, store.examples, strict=True):
        seen = branch_image(example["image"], "s").astype("float32")
        seen = tf_image.resize(seen, (32, 32), antialias=True)
        expected = model({"image": seen[None]}).numpy()[0]
        place = table.stems.index(name)
        np.testing.assert_allclose(table.of("s")[place], expected, atol=1e-4)


@pytest.mark.integration
def test_the_same_command_goes_on_and_another_recipe_is_refused(folder, data):
    before = (folder.path / "h" / "model.keras").stat().st_mtime_ns
    (folder.path / "test" / "h.csv").unlink()
    train_branches(data.load(), folder.path, data.session, branches=SMALL_BRANCHES)
    assert (folder.path / "h" / "model.keras").stat().st_mtime_ns == before
    assert (folder.path / "test" / "h.csv").is_file()
    with pytest.raises(RunError, match="is of another recipe"):
        train_branches(data.load("training.seed=1"), folder.path, data.session)


@pytest.mark.integration
def test_fusion_calibrates_first(folder, tmp_path):
    path, scores, fitted = fuse_folder(folder.path, out=tmp_path / "fused.csv")
    validation = folder.predictions("validation", SMALL_BRANCHES)
    table = folder.predictions("test", SMALL_BRANCHES)
    assert fitted == fit_temperatures(validation)
    table = calibrated(table, fitted)
    expected = fuse_branches(table.probabilities)
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["File"] for row in rows] == list(table.files)
    with (folder.path / "test" / "h.csv").open() as stream:
        assert sorted(table.files) == sorted(r["File"] for r in csv.DictReader(stream))
    for row, p, weights in zip(
        rows, expected.probabilities, expected.weights, strict=True
    ):
        assert float(row["landslide"]) == p[1]
        assert [float(row[f"weight_{b}"]) for b in SMALL_BRANCHES] == weights.tolist()
    assert scores == image_scores(expected.probabilities, table.labels)
    # A folder of files alone, as the release has, is fused as it is.
    raw, _, fitted = fuse_folder(
        folder.path / "test", variant="mean", out=tmp_path / "raw.csv"
    )
    assert not fitted
    table = folder.predictions("test", SMALL_BRANCHES)
    expected = fuse_branches(table.probabilities, "mean").probabilities
    with raw.open() as stream:
        found = [float(row["landslide"]) for row in csv.DictReader(stream)]
    assert found == expected[:, 1].tolist()


@pytest.mark.integration
def test_evaluation_has_every_method_degradation_and_picture(folder, data):
    before = sorted(folder.path.rglob("*"))
    found = evaluate_branches(
        [folder.path], pictures=2, data_dir=data.data_dir, manual_dir=data.manual_dir
    )
    names = [row["method"] for row in found.rows]
    assert names[:3] == list(SMALL_BRANCHES) and len(names) == 3 + 9
    assert set(found.degraded["inverse"]) == {
        "none", "noise 5", "noise 10", "noise 20", "blur 1", "blur 2", "blur 3"
    }  # fmt: skip
    assert sorted(folder.path.rglob("*")) == before
    by_name = {row["method"]: row for row in found.rows}
    assert found.degraded["mean"]["none"] == by_name["mean"]["accuracy"]
    assert found.temperatures["h"] == [
        fit_temperatures(folder.predictions("validation"))["h"]
    ]
    first = found.pictures[0]
    assert set(first["branches"]) == set(SMALL_BRANCHES)
    assert sum(first["weights"].values()) == pytest.approx(1)
    assert first["saliency"].shape == first["image"].shape[:2]
    json.dumps(found.facts)


@pytest.mark.integration
def test_one_network_serves_what_the_branches_predict(folder, data, tmp_path):
    model, metadata = evidential_model(folder.path, "support")
    assert (
        metadata.builder == "evidential_net" and metadata.arguments["branch_size"] == 32
    )
    written = export(model, tmp_path / "served", metadata=metadata, warm_up=48)
    served = load_served(written)
    store = load("bijie_landslide/classification", split="test", data_dir=data.data_dir)
    table = folder.predictions("test", SMALL_BRANCHES)
    temperatures = fit_temperatures(folder.predictions("validation"))
    table = calibrated(table, temperatures)
    expected = fuse_branches(table.probabilities, "support")
    for name, example in zip(store.ids, store.examples, strict=True):
        outputs = served({"image": example["image"][None]})
        place = table.stems.index(name)
        np.testing.assert_allclose(
            outputs["branch_probabilities"][0], table.probabilities[place], atol=1e-4
        )
        np.testing.assert_allclose(
            outputs["probabilities"][0], expected.probabilities[place], atol=1e-3
        )
    card = (written / "assets.extra" / "README.md").read_text()
    assert "| `fuse` |" in card and "`branch_probabilities`" in card
    alone = served({"probs": table.probabilities}, "fuse")
    np.testing.assert_allclose(
        alone["probabilities"], expected.probabilities, atol=1e-6
    )
    np.testing.assert_allclose(alone["weights"], expected.weights, atol=1e-6)
    assert alone["label"].tolist() == expected.label.tolist()


@pytest.mark.integration
def test_what_lacks_branches_is_refused(folder, data, tmp_path):
    with pytest.raises(RunError, match=r"has no `evidential\.yaml`"):
        evaluate_branches([tmp_path])
    (tmp_path / "evidential.yaml").write_text(
        (folder.path / "evidential.yaml").read_text()
    )
    with pytest.raises(RunError, match="no trained branch `h`"):
        evaluate_branches([tmp_path])
    with pytest.raises(RunError, match="landslide-tf evidential evaluate"):
        evaluate_run(folder.run("h"))


@pytest.mark.integration
def test_a_network_that_sees_the_centre_is_not_exported(folder, data, tmp_path):
    path = tmp_path / "copy"
    path.symlink_to(folder.path)
    recipe = folder.read_recipe()
    recipe.classification.view = "centre"
    own = tmp_path / "own"
    own.mkdir()
    for branch in SMALL_BRANCHES:
        (own / branch).symlink_to(folder.path / branch)
    recipe.write(own / "evidential.yaml")
    with pytest.raises(RunError, match=r"classification\.view=whole"):
        evidential_model(own)


# The commands


@pytest.mark.integration
def test_commands_fuse_and_evaluate(folder, data, command, tmp_path):
    code, out, err = command(
        *("evidential", "fuse", folder.path, "--variant", "mean"),
        *("--out", tmp_path / "fused.csv"),
    )
    assert code == 0, err
    assert f"fused: {tmp_path / 'fused.csv'} (accuracy" in out
    assert out.startswith("temperatures: h ")
    code, out, err = command("evidential", "fuse", folder.path / "test")
    assert code == 0 and "not calibrated" in out
    code, out, err = command(
        *("evidential", "evaluate", folder.path, "--pictures", 1),
        *("--out", tmp_path / "report", "--data-dir", data.data_dir),
    )
    assert code == 0, err
    page = (tmp_path / "report" / "index.html").read_text()
    assert "Noise and blur" in page and "variant inverse" in page
    record = json.loads((tmp_path / "report" / "evaluation.json").read_text())
    assert len(record["methods"]) == 12
    for name in ("pictures.png", "evaluation.md", "evaluation.csv"):
        assert (tmp_path / "report" / name).stat().st_size > 0


@pytest.mark.integration
def test_commands_refuse_what_is_not_theirs(folder, data, command, tmp_path):
    command.refuses(
        *("evidential", "train", "rae_d_mmls", "--out", tmp_path / "x"),
        message="maps pixels",
    )
    command.refuses(
        *("evidential", "train", data.recipe, "--out", folder.path),
        *("--set", "training.seed=3"),
        message="of another recipe",
    )
    command.refuses("evidential", "fuse", tmp_path, message="h.csv` does not exist")
    command.refuses("evidential", "evaluate", tmp_path, message="evidential.yaml")
    command.refuses("evaluate", folder.run("h").path, message="evidential evaluate")
    command.refuses(
        *("map", folder.run("h").path, "--image", tmp_path / "a.tif"),
        *("--out", tmp_path / "map.tif"),
        message="classification",
    )


# What recipes may ask for


@pytest.mark.integration
def test_validation_can_be_held_out_of_training(data):
    recipe = data.load("data.validation=train", "classification.holdout=0.3")
    part = load_part(recipe, "validation", data.session)
    whole = load(
        "bijie_landslide/classification", split="train", data_dir=data.data_dir
    )
    assert 0 < len(part) < len(whole) and set(part.ids) < set(whole.ids)
    assert 0 < part.positive.sum() < len(part)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["classification.holdout=0.3"], "expected `data.validation: train`"),
        (["training.patch=32"], "`training.patch` belongs to maps of pixels"),
        (["training.pictures=1"], "`training.pictures`"),
        (["model.prior_bias=true"], "`model.prior_bias`"),
        (["loss.name=dice"], "`loss.name` must be one of"),
        (["augmentation.contrast=0.1", "classification.branch=h"], "would change the"),
        (["data.image=[blue, green, red]", "classification.branch=v"], "8-bit colours"),
        (["data.image_scale=2", "classification.branch=v"], "8-bit colours"),
        (["data.name=bijie_landslide/segmentation"], "leave out the section"),
    ],
)
@pytest.mark.filterwarnings("ignore::landslide_tf.datasets.IncompleteDataWarning")
def test_recipes_that_do_not_fit_are_refused(data, changes, words, tmp_path):
    with pytest.raises((RecipeError, DataError), match=words):
        train(data.load(*changes), tmp_path / "run", data.session)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["classification.branch=hue"], "`classification.branch`"),
        (["classification.sise=32"], "Did you mean `size`"),
        (["classification.crop_area=[0.9,0.5]"], "the smaller first"),
        (["classification=null"], "add the section `classification`"),
        (["model.name=unet", "model.arguments={}"], "leave out the section"),
    ],
)
def test_sections_that_are_wrong_are_named(data, changes, words):
    with pytest.raises(RecipeError, match=words):
        data.load(*changes)


def test_a_recipe_of_pixels_has_no_branches(data, tmp_path):
    with pytest.raises(RecipeError, match="received one that maps"):
        train_branches(load_recipe("rae_d_mmls"), tmp_path / "x", data.session)
    with pytest.raises(RecipeError, match="no branch `o`"):
        train_branches(data.load(), tmp_path / "x", data.session, branches=["o"])


def test_a_search_around_a_branch_keeps_to_what_images_can_have(data):
    recipe = data.load("augmentation.dihedral=false", "classification.branch=s")
    space = SearchSpace.around(recipe)
    by_name = {d.name: d for d in space.dimensions}
    assert set(by_name["loss.name"].forms) == {"cross_entropy", "focal"}
    own = space.values({})
    turned = space.recipe_at({**own, "augmentation": "flips"})
    assert turned.augmentation.dihedral and turned.augmentation.contrast == 0
    assert "model.arguments.width" in by_name


@pytest.mark.parametrize(
    "name", ["evidential_bijie", "evidential_bijie_small", "evidential_bijie_imagenet"]
)
def test_shipped_recipes_are_for_whole_images(name):
    recipe = load_recipe(name)
    assert recipe.classification.view == "whole"
    assert recipe.data.name == "bijie_landslide/classification"
