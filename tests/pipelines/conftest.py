import numpy as np
import pytest

from landslide_tf.pipelines import Channel, DataDescription, from_examples


@pytest.fixture
def description():
    names = ("red", "green", "blue", "nir")
    channels = {n: Channel(n, "image", k) for k, n in enumerate(names)}
    channels["slope"] = Channel("slope", "factors", 0, unit="degree")
    channels["aspect"] = Channel("aspect", "factors", 1, unit="degree")
    channels["height"] = Channel("height", "factors", 2, unit="metre", nodata=-99.0)
    return DataDescription("made/up", "train", channels, ("other", "landslide"), 1)


@pytest.fixture
def make_store(description):
    def make(count, size=(8, 8), positive=None):
        rng = np.random.default_rng(count)
        examples = []
        for k in range(count):
            height, width = size if isinstance(size, tuple) else size[k]
            image = rng.integers(1, 255, (height, width, 4)).astype(np.uint8)
            mask = np.zeros((height, width, 1), np.uint8)
            if positive is None or k in positive:
                mask[:2, :3] = 1
            factors = rng.uniform(0, 45, (height, width, 3)).astype(np.float32)
            image[0, 0, 0] = k  # marks the example
            examples.append(
                {"image": image, "mask": mask, "factors": factors, "id": f"e{k}"}
            )
        return from_examples(examples, description)

    return make
