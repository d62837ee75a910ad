"""Images of the branches, as arrays and in a tf.data pipeline."""

import numpy as np
import pytest
import tensorflow as tf

from landslide_tf.errors import DataError
from landslide_tf.evidence import fuse_channel, multiscale_saliency, to_uint8
from landslide_tf.pipelines import branch_image, branch_map


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    return [
        random.integers(0, 256, size, "uint8") for size in ((24, 31, 3), (40, 26, 3))
    ]


@pytest.mark.parametrize("branch", ["h", "s", "v"])
def test_a_pipeline_gives_the_pixels_of_the_reference(images, branch):
    def examples():
        for index, image in enumerate(images):
            yield {"image": image, "label": index}

    signature = {
        "image": tf.TensorSpec((None, None, 3), tf.uint8),
        "label": tf.TensorSpec((), tf.int64),
    }
    dataset = tf.data.Dataset.from_generator(examples, output_signature=signature)
    mapped = dataset.map(branch_map(branch, mode="mean", border="zero"))
    assert mapped.element_spec == signature
    for image, (index, found) in zip(images, enumerate(mapped), strict=True):
        saliency = multiscale_saliency(image, "zero")
        expected = to_uint8(fuse_channel(image, saliency, branch, "mean"))
        np.testing.assert_array_equal(found["image"], expected)
        assert found["label"] == index


def test_batches_and_the_original(images):
    batch = np.stack([images[0], images[0][::-1]])
    fused = branch_image(batch, "v")
    assert fused.dtype == np.uint8
    np.testing.assert_array_equal(fused[1], branch_image(batch[1], "v"))
    np.testing.assert_array_equal(branch_image(batch, "original"), batch)
    (found,) = tf.data.Dataset.from_tensors({"image": batch}).map(branch_map("v"))
    np.testing.assert_array_equal(found["image"], fused)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"branch": "hue"}, "`branch` cannot be `hue`"),
        ({"branch": "h", "mode": "max"}, "`mode` cannot be `max`"),
        ({"branch": "original", "border": "edge"}, "`border` cannot be `edge`"),
    ],
)
def test_unknown_names_are_refused_before_the_first_example(arguments, words):
    with pytest.raises(DataError, match=words):
        branch_map(**arguments)
