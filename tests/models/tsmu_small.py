"""A small network of several regions, and inputs for it."""

import numpy as np

from landslide_tf import models

SMALL = {"variant": "code", "trunk_filters": (4, 8), "decoder_filters": (4, 8, 16)}


def small(*regions, **more):
    return models.tsmu_net(regions or ("ETF", "NAD"), **{**SMALL, **more})


def draw(model, batch=3, height=13, width=18, seed=0):
    random = np.random.default_rng(seed)
    bands = model.inputs[0].shape[-1]
    return random.integers(0, 256, (batch, height, width, bands)).astype("float32")


def call(model, image, region):
    return np.asarray(model({"image": image, "region": np.array(region, "int32")}))
