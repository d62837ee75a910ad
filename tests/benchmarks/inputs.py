"""Times and weighs the input of training: examples a second, memory, waiting.

    python -m tests.benchmarks.inputs [--repeats 10] [--before OLD/bin/python]
        [--peer PEER/bin/python] [--data-dir DATA --manual-dir MANUAL] [--out FILE.json]

Generated tiles of 512 x 512, in batches of 8, are turned, scaled from half to double,
cut to 512 and changed in light and contrast. Parts, each in processes of its own:

- rates on one core and on two, from memory and from a built set of 500 tiles;
- with `--before`, the rate from memory of another version of the package;
- with `--peer`, that of torch's DataLoader with two workers (torch==2.13.0, Pillow)
  that decodes the same tiles from PNG files and does the same to them;
- the peak memory of training with 500 and with 4,000 tiles;
- with `--data-dir`, the part of a step of the compact recipes that is spent waiting for
  the next batch.

Prints one JSON record and asserts nothing about time; other work on the machine shows
in `load`.
"""

import argparse
import io
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve()
BATCH, SIDE, FEW, MANY = 8, 512, 500, 4000
RECIPES = ("rae_d_mmls", "rae_d_bijie")
BANDS = ("red", "green", "blue")


def tiles(count):
    """Yields images and masks as PNG files in memory; 16 kinds take turns."""
    random = np.random.default_rng(0)
    kinds = []
    for _ in range(min(count, 16)):
        coarse = random.integers(0, 255, (SIDE // 8, SIDE // 8, 3), np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE)), np.int16)
        image = np.clip(smooth + random.normal(0, 4, smooth.shape), 0, 255)
        arrays = image.astype(np.uint8), (smooth[..., 0] > 160).astype(np.uint8)
        coded = [io.BytesIO(), io.BytesIO()]
        for array, file in zip(arrays, coded, strict=True):
            Image.fromarray(array).save(file, "png")
        kinds.append([file.getvalue() for file in coded])
    for number in range(count):
        yield kinds[number % len(kinds)]


def built(folder, count):
    """Returns the folder of a built set of tiles."""
    import tensorflow_datasets as tfds
    from etils import epath

    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = epath.Path(HERE.parent)
        name = f"tiles_{count}"

        def _info(self):
            f = tfds.features
            features = {
                "image": f.Image(shape=(SIDE, SIDE, 3), encoding_format="png"),
                "mask": f.LabeledImage(
                    shape=(SIDE, SIDE, 1), labels=2, encoding_format="png"
                ),
                "id": f.Text(),
            }
            metadata = tfds.core.MetadataDict(
                bands=[{"name": name, "unit": ""} for name in BANDS],
                factors=[],
                classes=["no", "yes"],
                landslide_class=1,
            )
            return tfds.core.DatasetInfo(
                builder=self, features=f.FeaturesDict(features), metadata=metadata
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for number, (image, mask) in enumerate(tiles(count)):
                coded = {"image": io.BytesIO(image), "mask": io.BytesIO(mask)}
                yield number, {**coded, "id": str(number)}

    builder = Builder(data_dir=folder)
    builder.download_and_prepare()
    return str(builder.data_dir)


def batches(source):
    """Returns the training batches of a built set, or of 16 tiles in memory."""
    from landslide_tf.pipelines import (
        Augmentation,
        Channel,
        DataDescription,
        InputSelection,
        TrainingBatches,
        from_examples,
        load,
    )

    change = Augmentation(dihedral=True, brightness=0.1, contrast=0.1, scale=(0.5, 2.0))
    if source == "memory":
        channels = {name: Channel(name, "image", k) for k, name in enumerate(BANDS)}
        examples = [
            {
                "image": np.array(Image.open(io.BytesIO(image))),
                "mask": np.array(Image.open(io.BytesIO(mask))),
                "id": str(number),
            }
            for number, (image, mask) in enumerate(tiles(16))
        ]
        description = DataDescription("tiles", "train", channels, ("no", "yes"), 1)
        store = from_examples(examples, description)
    else:
        store = load(f"{source}:train")
    selection = InputSelection(BANDS)
    return TrainingBatches(store, selection, BATCH, 0, change, patch=SIDE)


def rate(source, cores, repeats):
    """Returns examples a second of each repeat of 10 batches."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(cores)])
    data = batches(source)
    try:
        from landslide_tf.pipelines import training_stream

        stream = iter(training_stream(data))
    except ImportError:  # before
        stream = iter(data.dataset())
    for _ in range(6):
        next(stream)
    rates = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(10):
            next(stream)
        rates.append(10 * BATCH / (time.perf_counter() - start))
    return rates


def memory(source):
    """Returns the peak memory, MiB, of 60 steps of training."""
    import keras

    from landslide_tf.pipelines import training_stream

    image = keras.Input((None, None, 3), name="image")
    model = keras.Model({"image": image}, keras.layers.Conv2D(2, 1)(image))
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, ignore_class=255
    )
    model.compile("sgd", loss)
    data = training_stream(batches(source))
    model.fit(data, steps_per_epoch=60, verbose=0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def waiting(recipe_name, data_dir, manual_dir, repeats):
    """Returns the share of a step that is spent waiting, the first epoch left out."""
    import keras

    from landslide_tf.pipelines import training_stream
    from landslide_tf.train import Session, load_recipe
    from landslide_tf.train.tasks import task_of

    task, data = task_of(load_recipe(recipe_name)).load(
        Session(data_dir, manual_dir), resumed=False
    )
    keras.utils.set_random_seed(0)
    _, model = task.build(data)
    stream, steps = iter(training_stream(data.training)), data.training.steps_per_epoch
    shares = []
    for _ in range(1 + repeats):
        waits, begin = 0.0, time.perf_counter()
        for _ in range(steps):
            start = time.perf_counter()
            batch = next(stream)
            waits += time.perf_counter() - start
            model.train_on_batch(*batch)
        shares.append(waits / (time.perf_counter() - begin))
    return shares[1:]


def peer(folder, repeats):
    """Returns examples a second of torch's DataLoader over PNG files."""
    import torch
    from torch.nn.functional import interpolate, pad

    class Tiles(torch.utils.data.Dataset):
        def __len__(self):
            return FEW // BATCH * BATCH

        def __getitem__(self, index):
            image, mask = (
                torch.from_numpy(np.array(Image.open(f"{folder}/{kind}{index}.png")))
                for kind in ("image", "mask")
            )
            image = image.permute(2, 0, 1).float()
            side = int(torch.randint(SIDE // 2, 2 * SIDE + 1, ()))
            size = (side, side)
            image = interpolate(image[None], size, mode="bilinear", antialias=True)[0]
            mask = interpolate(mask[None, None], size, mode="nearest-exact")[0]
            row, column = torch.randint(max(1, side - SIDE + 1), (2,)).tolist()
            window = np.s_[:, row : row + SIDE, column : column + SIDE]
            image, mask = image[window], mask[window]
            short = SIDE - image.shape[1]
            if short > 0:
                part = (0, min(short, side - 1), 0, min(short, side - 1))
                image = pad(image, part, mode="reflect")
                rest = (0, SIDE - image.shape[2], 0, SIDE - image.shape[1])
                image = pad(image, rest)
                mask = pad(mask, (0, short, 0, short), value=255)
            turns = int(torch.randint(4, ()))
            image, mask = (torch.rot90(x, turns, (1, 2)) for x in (image, mask))
            if torch.rand(()) < 0.5:
                image, mask = image.flip(2), mask.flip(2)
            mean = image.mean((1, 2), keepdim=True)
            contrast, light = (0.9 + 0.2 * torch.rand(2)).tolist()
            image = ((image - mean) * contrast + mean * light).clamp(0, 255)
            return image.contiguous(), mask[0].contiguous()

    loader = torch.utils.data.DataLoader(
        Tiles(), BATCH, shuffle=True, num_workers=2, persistent_workers=True
    )

    def endless():
        while True:
            yield from loader

    stream = endless()
    for _ in range(6):
        next(stream)
    rates = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(10):
            next(stream)
        rates.append(10 * BATCH / (time.perf_counter() - start))
    return rates


def run(python, part, *arguments):
    """Runs a part in a process of its own and returns what it printed."""
    done = subprocess.run(
        [str(python), str(HERE), "--part", part, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    if done.returncode:
        raise SystemExit(f"{part}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def summary(values, digits=1):
    return {
        "median": round(statistics.median(values), digits),
        "smallest": round(min(values), digits),
        "largest": round(max(values), digits),
        "load": round(os.getloadavg()[0], 1),
    }


def measured(options, folder):
    """Returns the parts of the record."""
    few, many = (run(sys.executable, "built", folder, n) for n in (FEW, MANY))
    repeats, own = options.repeats, sys.executable
    rates = {}
    for cores in (1, 2):
        for name, source in (("memory", "memory"), ("built", few)):
            found = run(own, "rate", source, cores, repeats)
            rates[f"{name}, {cores} cores"] = summary(found)
        if options.before:
            found = run(options.before, "rate", "memory", cores, repeats)
            rates[f"before, memory, {cores} cores"] = summary(found)
    if options.peer:
        files = Path(folder, "files")
        files.mkdir()
        for number, pair in enumerate(tiles(FEW)):
            for kind, data in zip(("image", "mask"), pair, strict=True):
                (files / f"{kind}{number}.png").write_bytes(data)
        rates["DataLoader, files"] = summary(run(options.peer, "peer", files, repeats))
    peaks = {n: run(own, "memory", source) for n, source in ((FEW, few), (MANY, many))}
    record = {
        "examples_per_second": rates,
        "peak_mib": {f"{n} tiles": round(mib) for n, mib in peaks.items()},
    }
    if options.data_dir:
        folders = options.data_dir, options.manual_dir
        record["waiting_share_of_step"] = {
            name: summary(run(own, "waiting", name, *folders, repeats), 4)
            for name in RECIPES
        }
    return record


PARTS = {
    "built": lambda folder, count: built(folder, int(count)),
    "rate": lambda source, cores, repeats: rate(source, cores, int(repeats)),
    "memory": memory,
    "waiting": lambda name, data, manual, n: waiting(name, data, manual, int(n)),
    "peer": lambda folder, repeats: peer(folder, int(repeats)),
}


def main():
    if sys.argv[1:2] == ["--part"]:
        print(json.dumps(PARTS[sys.argv[2]](*sys.argv[3:])))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--before", type=Path, help="Python of another version")
    parser.add_argument("--peer", type=Path, help="Python that has torch")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--manual-dir", type=Path)
    parser.add_argument("--out", type=Path, help="also write the record to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        record = {
            "benchmark": "inputs",
            "batch": BATCH,
            "side": SIDE,
            "repeats": options.repeats,
            "machine": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            **measured(options, folder),
        }
    text = json.dumps(record, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
