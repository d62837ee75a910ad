"""Maps a scene slowly with `landslide-tf map`, in a process that a test stops."""

import os
import sys
import time
from pathlib import Path

from landslide_tf.mapping import (
    MapOptions,
    Mask,
    MaskFiles,
    Member,
    Outputs,
    SceneFiles,
    map_scene,
)
from tests.mapping import map_files as files


def slow(inputs):
    time.sleep(0.05)
    return inputs["image"]


def run(image, folder, predict, mask=None):
    """Maps into a folder and returns the summary."""
    outputs = Outputs(folder / "map.tif", folder / "chances.tif")
    options = MapOptions(window=16, overlap=4, batch=1)
    member = Member(predict, files.metadata())
    masks = MaskFiles() if mask is None else MaskFiles(masks=(Mask.parse(mask),))
    files_of_scene = SceneFiles((str(image),), masks=masks)
    return map_scene([member], files_of_scene, outputs, options)


if __name__ == "__main__":
    # No test of networks: the model is a function, and TensorFlow need not start.
    os.environ["KERAS_BACKEND"] = "jax"
    from landslide_tf.cli import main, map

    image, folder = sys.argv[1], Path(sys.argv[2])
    map.load_member = lambda *_: Member(slow, files.metadata())
    outputs = ["--out", folder / "map.tif", "--probabilities", folder / "chances.tif"]
    small = ["--window", 16, "--overlap", 4, "--batch", 1]
    masks = ["--mask", sys.argv[3]] if sys.argv[3:] else []
    arguments = ["map", "slow", "--image", image, *outputs, *small, *masks]
    sys.argv = ["landslide-tf", *(str(value) for value in arguments)]
    main.main()
