"""Builds a data set in a test."""

from __future__ import annotations

import numpy as np
import tensorflow_datasets as tfds


def build(data, manual, folder):
    """Builds `name/config` from `manual` into `folder / "data"`."""
    builder = tfds.builder(data, data_dir=folder / "data")
    config = tfds.download.DownloadConfig(manual_dir=manual)
    builder.download_and_prepare(download_config=config)
    return builder


def examples(builder, split):
    """Examples of a split by their id."""
    data = tfds.as_numpy(builder.as_dataset(split=split))
    return {example["id"].decode(): example for example in data}


def nothing_visible(folder):
    """Whether a failed build left no data set behind."""
    return not list((folder / "data").glob("*/[!.]*/[!.]*"))


def drawn(mask, colours):
    """A label's picture: the colour of each class number, uint8 (H, W, 3)."""
    table = np.zeros((256, 3), np.uint8)
    for number, colour in colours.items():
        table[number] = colour
    return table[mask]
