"""PNG and JPEG files become images inside the graph, once their headers fit."""

from __future__ import annotations

from landslide_tf.array_types import Tensor
from landslide_tf.serving.requests import Limits, refuse, within
from landslide_tf.words import counted

IMAGE_BYTES = "image_bytes"
BANDS = (1, 3)  # what the two formats can hold

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = 33  # bytes of the signature and of the first chunk
_EXACT = "INTEGER_ACCURATE"  # as other programs decode; the default is a faster form
# PNG's colour types (ISO/IEC 15948, 11.2.2): grey; colours, colour table, and alpha.
_PNG_TYPES = {1: (0,), 3: (2, 3, 6)}


def decoded(files: Tensor, bands: int, limits: Limits) -> tuple[Tensor, Tensor]:
    """Decodes images of one size, none before the sizes of all are known.

    Args:
        files: String tensor of unknown rank: one file, or (batch,) of them.
        bands: 1 for grey images or 3 for red, green and blue.
        limits: Sizes of the request.

    Returns:
        uint8 (batch, height, width, bands), 0 where transparent, and bool (batch,
        height, width, 1), true where not transparent.
    """
    import tensorflow as tf

    shape = tf.shape(files)
    words = f"`{IMAGE_BYTES}` must be the bytes of a PNG or JPEG file, or (batch) of "
    words += "such bytes, received {} axes."
    with tf.control_dependencies([refuse(tf.size(shape) <= 1, words, tf.size(shape))]):
        flat = tf.reshape(files, [-1])
    words = f"`{IMAGE_BYTES}` must hold at least one file, received none."
    with tf.control_dependencies([refuse(tf.size(flat) > 0, words)]):
        flat = tf.identity(flat)
    sizes = tf.map_fn(
        lambda data: _size(data, bands),
        flat,
        fn_output_signature=tf.TensorSpec((2,), tf.int32),
    )
    same = tf.reduce_all(sizes == sizes[:1])
    words = f"`{IMAGE_BYTES}` must hold images of one size, received sizes from "
    least, most = tf.reduce_min(sizes, axis=0), tf.reduce_max(sizes, axis=0)
    checks = [refuse(same, words + "{} to {}.", least, most)]
    whole = tf.concat([[tf.size(flat)], most], axis=0)
    checks += within(whole, IMAGE_BYTES, limits)
    with tf.control_dependencies(checks):
        flat = tf.identity(flat)
    pixels = tf.map_fn(
        lambda data: _pixels(data, bands),
        flat,
        fn_output_signature=tf.TensorSpec((None, None, bands + 1), tf.uint8),
    )
    pixels = tf.ensure_shape(pixels, (None, None, None, bands + 1))
    opaque = pixels[..., bands:] > 0
    image = pixels[..., :bands]
    return tf.where(opaque, image, tf.zeros_like(image)), opaque


def _size(data: Tensor, bands: int) -> Tensor:
    """Returns (height, width) of the header, int32 of at least 1."""
    import tensorflow as tf

    jpeg = tf.io.is_jpeg(data)
    png = tf.strings.substr(data, 0, len(_PNG)) == _PNG
    png &= tf.strings.length(data) >= _PNG_HEADER
    words = (
        f"`{IMAGE_BYTES}` must be PNG or JPEG files, received {{}} bytes of something "
    )
    known = refuse(jpeg | png, words + "else.", tf.strings.length(data))
    with tf.control_dependencies([known]):
        return tf.cond(
            jpeg, lambda: _jpeg_size(data, bands), lambda: _png_size(data, bands)
        )


def _jpeg_size(data: Tensor, bands: int) -> Tensor:
    import tensorflow as tf

    shape = tf.io.extract_jpeg_shape(data)
    words = (
        f"`{IMAGE_BYTES}` must be images of {counted(bands, 'band')}, received {{}}."
    )
    with tf.control_dependencies([refuse(shape[2] == bands, words, shape[2])]):
        return tf.identity(shape[:2])


def _png_size(data: Tensor, bands: int) -> Tensor:
    import tensorflow as tf

    header = tf.io.decode_raw(
        tf.strings.substr(data, 16, 8), tf.int32, little_endian=False
    )
    depth, colour = tf.unstack(
        tf.io.decode_raw(tf.strings.substr(data, 24, 2), tf.uint8), num=2
    )
    words = f"`{IMAGE_BYTES}` must be PNG files of at most 8 bits, received {{}}: send "
    words += "other values as numbers."
    checks = [refuse(depth <= 8, words, depth)]
    fits = tf.reduce_any(colour == tf.constant(_PNG_TYPES[bands], tf.uint8))
    words = f"`{IMAGE_BYTES}` must be images of {counted(bands, 'band')}, received the "
    checks.append(refuse(fits, words + "PNG colour type {}.", colour))
    width, height = tf.unstack(header, num=2)
    words = f"`{IMAGE_BYTES}` must be images of at least one pixel, received {{}}."
    checks.append(refuse(tf.reduce_all(header > 0), words, header))
    with tf.control_dependencies(checks):
        return tf.stack([height, width])


def _pixels(data: Tensor, bands: int) -> Tensor:
    """Returns uint8 (height, width, bands and alpha)."""
    import tensorflow as tf

    def jpeg() -> Tensor:
        image = tf.io.decode_jpeg(data, channels=bands, dct_method=_EXACT)
        return tf.concat([image, _opaque(image)], axis=-1)

    def png() -> Tensor:
        if bands == 3:
            return tf.io.decode_png(data, channels=4)
        image = tf.io.decode_png(data, channels=bands)
        return tf.concat([image, _opaque(image)], axis=-1)

    return tf.cond(tf.io.is_jpeg(data), jpeg, png)


def _opaque(image: Tensor) -> Tensor:
    import tensorflow as tf

    return tf.fill([*tf.unstack(tf.shape(image)[:2]), 1], tf.constant(255, tf.uint8))
