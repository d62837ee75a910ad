"""Two made-up regions: what is bright is landslide, and the target is darker."""

import numpy as np

from landslide_tf.pipelines import Channel, DataDescription, from_examples

CHANNELS = {n: Channel(n, "image", k, range=(0, 255)) for k, n in enumerate("rgb")}


def description(**changes):
    known = {
        "name": "made",
        "split": "train",
        "channels": CHANNELS,
        "classes": ("other", "slide"),
        "landslide_class": 1,
    }
    return DataDescription(**{**known, **changes})


def examples(count, seed, side=32, dark=0):
    random = np.random.default_rng(seed)
    for k in range(count):
        image = random.integers(0, 255 - dark, (side, side, 3)).astype(np.uint8)
        mask = (image.mean(-1) > 140 - dark).astype(np.uint8)
        yield {"image": image, "mask": mask, "id": f"{seed}-{k}"}


def store(count, seed, **changes):
    return from_examples(examples(count, seed, **changes), description())
