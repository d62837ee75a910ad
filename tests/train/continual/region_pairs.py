"""Image pairs of two regions that tell landslides apart by opposite signs."""

import numpy as np

from landslide_tf.pipelines import InputSelection, RegionExamples
from landslide_tf.pipelines.store import Channel, DataDescription, from_examples
from landslide_tf.train.continual.regions import RegionData

SIZE = 32
BANDS = tuple(f"{time}_{c}" for time in ("pre", "post") for c in ("r", "g", "b"))
TINT = (np.ones(3), np.array([1.3, 0.9, 0.6]))


def pair(random, region, size=SIZE):
    """One pair in 0..1 and its mask; a disc changes the other way."""
    noise = random.normal(0, 0.06, (size, size, 3))
    pre = (random.uniform(0.3, 0.7, 3) + noise) * TINT[region]
    post = pre + random.normal(0, 0.05, (size, size, 3))
    y, x = np.mgrid[:size, :size]
    mask = np.zeros((size, size), bool)
    for _ in range(random.integers(1, 3)):
        axes, centre = random.uniform(3, 7, 2), random.uniform(0, size, 2)
        mask |= ((y - centre[0]) / axes[0]) ** 2 + ((x - centre[1]) / axes[1]) ** 2 <= 1
    centre = random.uniform(0, size, 2)
    disc = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= 25
    sign = 1 if region == 0 else -1
    post[disc] -= 0.25 * sign
    post[mask] = (pre + random.normal(0, 0.05, pre.shape))[mask] + 0.25 * sign
    image = np.clip(np.concatenate([pre, post], -1), 0, 1)
    return (255 * image).astype("float32"), mask.astype("uint8")


def store(region, split, count, seed=0, size=SIZE):
    random = np.random.default_rng([seed, region, ("train", "test").index(split)])
    channels = {n: Channel(n, "image", k) for k, n in enumerate(BANDS)}
    description = DataDescription(
        "pairs", split, channels, ("background", "landslide"), 1
    )
    examples = []
    for number in range(count):
        image, mask = pair(random, region, size)
        name = f"{region}-{split}-{number}"
        examples.append({"image": image, "mask": mask, "id": name})
    return from_examples(examples, description)


def examples(region, split, count, seed=0, size=SIZE, rounds=0):
    made = store(region, split, count, seed, size)
    return RegionExamples(made, InputSelection(BANDS), size, rounds, seed)


def region_data(region, count, seed=0, size=SIZE, rounds=0):
    return RegionData(
        examples(region, "train", count, seed, size, rounds),
        examples(region, "test", count, seed, size),
    )
