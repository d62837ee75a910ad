"""Writes regions as arrays, with the recipe that `landslide-tf continual matrix` takes.

usage: python -m tests.benchmarks.continual_regions signs|bijie --out DIR
       landslide-tf continual matrix DIR/recipe.yaml --seeds 0 --seeds 1 --seeds 2

`signs` are the generated pairs of two regions in which landslides change brightness the
opposite way. `bijie` are the landslide images of `bijie_landslide` in three groups of
counties, each cut into parts that share no pixels; the data come from `TFDS_DATA_DIR`
and `LANDSLIDE_TF_MANUAL_DIR`.
"""

import argparse
import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from landslide_tf.datasets.common.overlaps import find_overlaps
from landslide_tf.pipelines import load, write_arrays
from tests.train.continual import region_pairs

SPLITS = ("train", "validation", "test")
# Landslide images by the letters of their county, in order of arrival. QX comes last:
# with it first, the base network learns next to nothing that could be forgotten.
COUNTIES = {"DF_JS_NY_ZJ": ("df", "js", "ny", "zj"), "HZ_WN": ("hz", "wn")}
COUNTIES["QX"] = ("qx", "qxg")
VALIDATION, TEST = 0.2, 0.3


def signs(out):
    for region, name in enumerate(("brighter", "darker")):
        for split, drawn in zip(SPLITS, ("train", "test", "test"), strict=True):
            store = region_pairs.store(region, drawn, 48)
            if split == "validation":
                # As the published check: what selects is not what is reported.
                store = region_pairs.store(region, drawn, 48, seed=1000)
            write_arrays(out / name / split, store.examples, store.description)
    return {
        "description": "Generated pairs: landslides get brighter, then darker",
        "source": "made for tests; network, epochs and rates are this project's",
        "regions": [
            section("brighter", "pairs", out, 0),
            section("darker", "pairs", out, 0),
        ],
        "data": {"image": list(region_pairs.BANDS), "size": region_pairs.SIZE},
        "model": {
            "variant": "code",
            "trunk_filters": [4, 8],
            "decoder_filters": [4, 8, 16],
            "bn_momentum": 0.9,
        },
        "base": {"epochs": 40, "learning_rate": 0.003, "patience": 0},
        "warmup": {"epochs": 30, "learning_rate": 0.003, "patience": 0},
        "joint": {"epochs": 30, "learning_rate": 0.001, "patience": 0},
        "training": {"batch_size": 8, "validation_batch_size": 16, "threads": 1},
    }


def section(name, data, out, rounds):
    folder = str((out / name).resolve())
    return {"name": name, "data": data, "arrays": folder, "rounds": rounds}


def bijie(out):
    data = "bijie_landslide/segmentation"
    stores = [load(data, split=split) for split in SPLITS]
    description = stores[0].description
    images = {
        name: example
        for store in stores
        for name, example in zip(store.ids, store.examples, strict=True)
    }
    for group, letters in COUNTIES.items():
        own = [n for n in sorted(images) if n.rstrip("0123456789") in letters]
        for split, names in parted({n: images[n] for n in own}).items():
            print(f"{group} {split}: {len(names)} images", file=sys.stderr)
            chosen = [{**images[n], "id": n} for n in names]
            write_arrays(out / group / split, chosen, description)
    return {
        "description": "Landslides of Bijie, three groups of counties as stand-ins for "
        "ecoregions",
        "source": "Ji et al. 2020 (images); network and rates are this project's",
        "regions": [section(name, data, out, 1) for name in COUNTIES],
        "data": {"image": ["red", "green", "blue"], "size": 32},
        "model": {
            "variant": "code",
            "inputs": "post",
            "trunk_filters": [4, 8],
            "decoder_filters": [8, 16, 32],
            "bn_momentum": 0.9,
        },
        "base": {"epochs": 40, "learning_rate": 0.003, "patience": 0},
        "warmup": {"epochs": 15, "learning_rate": 0.003, "patience": 0},
        "joint": {"epochs": 15, "learning_rate": 0.001, "patience": 0},
        "training": {"batch_size": 8, "validation_batch_size": 16, "threads": 1},
    }


def parted(images):
    """Names by split: runs of the sorted names, images of one picture together."""
    first = {name: name for name in images}
    for pair in find_overlaps({n: e["image"][..., 1] for n, e in images.items()}):
        old, new = sorted((first[pair.first], first[pair.second]), reverse=True)
        first = {name: new if own == old else own for name, own in first.items()}
    ordered = sorted(images, key=lambda name: (first[name], name))
    train = round((1 - VALIDATION - TEST) * len(ordered))
    validation = train + round(VALIDATION * len(ordered))
    chosen = {}
    for place, name in enumerate(ordered):
        split = SPLITS[(place >= train) + (place >= validation)]
        # The whole picture goes where its first image went.
        chosen[name] = chosen.get(first[name], split)
    return {split: [n for n in ordered if chosen[n] == split] for split in SPLITS}


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("regions", choices=("signs", "bijie"))
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    recipe = {"signs": signs, "bijie": bijie}[arguments.regions](arguments.out)
    path = arguments.out / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    print(path)


if __name__ == "__main__":
    main()
