"""Maps a scene slowly, in a process that a test kills."""

import sys
import time
from pathlib import Path

from landslide_tf.scene import MapOptions, Member, Outputs, SceneFiles, map_scene
from tests.scene import map_files as files


def slow(inputs):
    time.sleep(0.05)
    return inputs["image"]


def run(image, folder, predict):
    """Maps into a folder and returns the summary."""
    outputs = Outputs(folder / "map.tif", folder / "chances.tif")
    options = MapOptions(tile=16, overlap=4, batch_size=1)
    member = Member(predict, files.metadata())
    return map_scene([member], SceneFiles((str(image),)), outputs, options)


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]), slow)
