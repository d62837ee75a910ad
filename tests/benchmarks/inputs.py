"""Times the input of training: examples a second, and the share of a step it costs.

    python tests/benchmarks/inputs.py --data-dir DATA --manual-dir MANUAL
        [--peer-python PEER/bin/python] [--repeats 10] [--out FILE.json]

For each set: the built TFRecords read by TFDS; the training pipeline (patches, flips,
light, batches of 8) over the examples in memory; the same files decoded anew each
epoch by torch's DataLoader with two workers, tifffile and Pillow. Then steps of the
compact recipe, and the part of their time that is spent waiting for the next batch.
PEER needs torch==2.13.0, tifffile and Pillow. Prints one JSON record and asserts
nothing about time.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve()
BATCH, PATCH = 8, 128
# Data, recipe, and the folders of images and of masks below the manual folder.
SETS = {
    "mmls": (
        "rae_d_mmls",
        "**/train_partition/images/*.tif",
        ("images/Image", "masks/Mask"),
    ),
    "bijie_landslide": ("rae_d_bijie", "**/landslide/image/*.png", ("image/", "mask/")),
}


def files(manual, pattern, names):
    """Returns pairs of image and mask."""
    images = sorted(manual.glob(pattern))
    pairs = [(str(p), names[1].join(str(p).rsplit(names[0], 1))) for p in images]
    return [pair for pair in pairs if Path(pair[1]).is_file()]


def per_second(count, function, repeats):
    """Returns examples a second of each repeat, the first call left out."""
    function()
    rates = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        rates.append(count / (time.perf_counter() - start))
    return rates


def ours(recipe_name, arguments):
    """Measures one set on our side."""
    import keras
    import tensorflow_datasets as tfds

    from landslide_tf.pipelines import find_builder, training_stream
    from landslide_tf.train import Session, load_recipe
    from landslide_tf.train.tasks import task_of

    session = Session(arguments.data_dir, arguments.manual_dir)
    recipe = load_recipe(recipe_name, [f"training.batch_size={BATCH}"])
    task, data = task_of(recipe).load(session, resumed=False)
    batches, training = data.training, data.store
    steps = batches.steps_per_epoch
    builder = find_builder(recipe.data.name, data_dir=arguments.data_dir)

    def records():
        for _ in tfds.as_numpy(builder.as_dataset(split="train")):
            pass

    stream = iter(training_stream(batches))

    def pipeline():
        for _ in range(steps):
            next(stream)

    rates = {
        "tfds": per_second(len(training), records, arguments.repeats),
        "pipeline": per_second(steps * BATCH, pipeline, arguments.repeats),
    }
    keras.utils.set_random_seed(0)
    _, model = task.build(data)
    shares = []
    model.train_on_batch(*next(stream))
    for _ in range(arguments.repeats):
        waits = total = 0.0
        for _ in range(steps):
            start = time.perf_counter()
            batch = next(stream)
            ready = time.perf_counter()
            model.train_on_batch(*batch)
            waits += ready - start
            total += time.perf_counter() - start
        shares.append(waits / total)
    return rates, shares


def peer(pairs, repeats):
    """Prints the rates of torch's DataLoader over the same files."""
    import numpy as np
    import tifffile
    import torch
    from PIL import Image

    class Pairs(torch.utils.data.Dataset):
        def __len__(self):
            return len(pairs)

        def __getitem__(self, index):
            image, mask = (self.read(path) for path in pairs[index])
            full = [max(0, PATCH - n) for n in image.shape[1:]]
            image = np.pad(image, ((0, 0), (0, full[0]), (0, full[1])))
            mask = np.pad(mask, ((0, full[0]), (0, full[1])))
            row, column = (
                np.random.randint(n - PATCH + 1) if n > PATCH else 0 for n in mask.shape
            )
            window = np.s_[..., row : row + PATCH, column : column + PATCH]
            image, mask = image[window], mask[window]
            turns = np.random.randint(4)
            image, mask = (np.rot90(a, turns, (-2, -1)) for a in (image, mask))
            if np.random.rand() < 0.5:
                image, mask = image[..., ::-1], mask[..., ::-1]
            image = image * np.float32(np.random.uniform(0.9, 1.1))
            return (
                torch.from_numpy(np.ascontiguousarray(image, "float32")),
                torch.from_numpy(np.ascontiguousarray(mask, "uint8")),
            )

        def read(self, path):
            if path.endswith(".png"):
                array = np.asarray(Image.open(path))
                return np.moveaxis(array, -1, 0) if array.ndim == 3 else array
            # One page a row: rasterio would read the first page only.
            array = tifffile.imread(path)
            return np.moveaxis(array, -1, 0) if array.ndim == 3 else array

    loader = torch.utils.data.DataLoader(
        Pairs(),
        BATCH,
        shuffle=True,
        num_workers=2,
        persistent_workers=True,
        drop_last=True,
    )

    def epoch():
        for _ in loader:
            pass

    print(json.dumps(per_second(len(loader) * BATCH, epoch, repeats)))


def summary(values, digits):
    return {
        "median": round(statistics.median(values), digits),
        "smallest": round(min(values), digits),
        "largest": round(max(values), digits),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--manual-dir", type=Path)
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--out", type=Path, help="also write the record to this file")
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        return peer(json.load(sys.stdin), arguments.repeats)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    results = []
    for name, (recipe, pattern, names) in SETS.items():
        rates, shares = ours(recipe, arguments)
        pairs = files(arguments.manual_dir / name, pattern, names)
        if arguments.peer_python:
            command = [arguments.peer_python, HERE, "--peer"]
            output = subprocess.run(
                [*map(str, command), "--repeats", str(arguments.repeats)],
                input=json.dumps(pairs),
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            rates["dataloader"] = json.loads(output.splitlines()[-1])
        results.append(
            {
                "data": name,
                "files": len(pairs),
                "examples_per_second": {k: summary(v, 1) for k, v in rates.items()},
                "waiting_share_of_step": summary(shares, 4),
            }
        )
    record = {
        "benchmark": "inputs",
        "batch": BATCH,
        "repeats": arguments.repeats,
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "results": results,
    }
    text = json.dumps(record, indent=2)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")
    return None


if __name__ == "__main__":
    main()
