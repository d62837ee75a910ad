"""Asks a model on a server, over gRPC or REST: tiles out, blended answers back."""

from __future__ import annotations

import copy
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import ModelError, did_you_mean
from landslide_tf.mapping.predict import batch_size, channels_of
from landslide_tf.mapping.windows import axis, blended, window_of
from landslide_tf.metadata import ModelMetadata
from landslide_tf.raster.cog import NODATA, UNITS
from landslide_tf.serving.address import Address
from landslide_tf.serving.decisions import LANDSLIDE
from landslide_tf.serving.image_bytes import BANDS, IMAGE_BYTES
from landslide_tf.serving.network import FACTORS, IMAGE, PROBABILITIES, REGION
from landslide_tf.serving.requests import NO_VALUE
from landslide_tf.serving.runtimes import fitting_arrays, listed
from landslide_tf.serving.served_model import SIGNATURE, read_metadata
from landslide_tf.serving.signatures import BY_NAME, BYTES, PAIR, PAIR_BANDS, UINT8
from landslide_tf.serving.transport import Served, Signature, transport, tried
from landslide_tf.words import counted

TIMEOUT = 60.0
ATTEMPTS = 5

Inputs = Mapping[str, NDArray[Any]]


class Client:
    """A client for a model on TensorFlow Serving or a compatible server.

    Nothing is sent before the first question. A request that finds the server
    unavailable is sent again, after pauses that are drawn at random; no other is.

    Args:
        address: `grpc://HOST:PORT/NAME[:VERSION]`, or with `http://` for REST; `grpcs`
            and `https` are encrypted. VERSION is a number or a label; without it the
            newest is asked. `?wire=uint8` or `?wire=float32` behind it says what
            `landslide` and `probabilities` send, where it is not the type of the image.
        metadata: What `model.json` says of the model, itself, as a file or in a run or
            an export: servers do not pass it on. None leaves the tile and, of
            probabilities of several classes, the landslide class unknown.
        timeout: Seconds for the answer to a request.
        attempts: How often a request is sent, at most.

    Attributes:
        metadata: As given, read, and without the temperature, which the server applies.

    Raises:
        RunError: If the address is of another form, there is no such file of metadata,
            or `grpc://` lacks the package `tensorflow-serving-api`.

    Example:
        >>> from landslide_tf import saved_models, serving
        >>> model = saved_models.path("fstf_net_synthetic")
        >>> client = serving.Client("http://localhost:8501/fstf", metadata=model)
        >>> client.metadata.tile
        96
        >>> client.landslide(image, factors=factors)  # doctest: +SKIP
    """

    def __init__(
        self,
        address: str,
        *,
        metadata: ModelMetadata | str | Path | None = None,
        timeout: float = TIMEOUT,
        attempts: int = ATTEMPTS,
    ) -> None:
        if isinstance(metadata, str | Path):
            metadata = read_metadata(metadata)
        if metadata is not None:
            metadata = metadata.model_copy(update={"temperature": None})
        self.metadata = metadata
        self._timeout, self._attempts = timeout, attempts
        self._region: str | None = None
        self._at(Address.read(address))

    def _at(self, address: Address) -> None:
        self._address = address
        self._transport = transport(address, self._timeout)

    @property
    def address(self) -> str:
        """What is asked, with the version where one is named."""
        return str(self._address)

    @cached_property
    def _served(self) -> Served:
        return tried(self._transport.describe, self._address, self._attempts)

    @property
    def signatures(self) -> tuple[str, ...]:
        """Names of the signatures that the server has for the model."""
        return tuple(sorted(self._served.signatures))

    @property
    def identity(self) -> str:
        """Text that changes when another version or model answers."""
        version, signatures = self._served
        text = repr([self._address, version, sorted(signatures.items())])
        return hashlib.sha256(text.encode()).hexdigest()

    def pinned(self, region: str | None = None) -> Client:
        """Returns a client of the version that answers now, and of no later one.

        Args:
            region: Whose decoder a model of several regions takes from now on.

        Raises:
            ModelError: If the model lacks what `probabilities` asks for, or its
                metadata are not its own.
            RunError: If the server does not answer.
        """
        version = self._served.version or self._address.version
        found = copy.copy(self)  # with the signatures that are known now
        found._at(replace(self._address, version=version))
        found._region = region
        if found.metadata is not None:
            if region is not None:
                found.metadata = _of_region(found.metadata, region)
            found._check_metadata(found.metadata)
        return found

    def __call__(
        self,
        inputs: Mapping[str, ArrayLike],
        signature: str = SIGNATURE,
        *,
        outputs: Sequence[str] = (),
    ) -> dict[str, NDArray[Any]]:
        """Sends one request, as it is.

        Args:
            inputs: One array a name, (batch, height, width, channels), raw units; texts
                and files as text and bytes (batch,).
            signature: Its name.
            outputs: Names of the outputs that are wanted; none = all. Over gRPC the
                server sends no others.

        Returns:
            One array an output.

        Raises:
            ModelError: If a name is missing or unknown, or the server refuses a value.
            RunError: If the server does not answer, or has no such model or version.
        """
        known = self._signature(signature)
        specs = {name: (None, dtype) for name, dtype in known.inputs.items()}
        arrays = fitting_arrays(inputs, specs, self.address)
        for name in outputs:
            if name not in known.outputs:
                raise ModelError(
                    f"`{signature}` of `{self.address}` has no output `{name}`."
                    f"{did_you_mean(name, known.outputs)}"
                )
        return tried(
            lambda: self._transport.predict(signature, known, arrays, outputs),
            self._address,
            self._attempts,
        )

    def landslide(
        self,
        image: ArrayLike,
        *,
        factors: ArrayLike | None = None,
        region: str | None = None,
        window: int | None = None,
        overlap: int | None = None,
        batch: int | None = None,
    ) -> FloatArray:
        """Asks for the probability of landslide in an image of any size.

        The image is cut into windows that overlap, and their answers are blended, as
        `landslide-tf map` does. An image of uint8 travels as uint8, over REST with one
        or three bands as PNG, and its answer in 250 steps; every other as float32.

        Args:
            image: (height, width, bands), raw values. uint8, or float with NaN, an
                infinity or values beyond 1e30 where a pixel has no value.
            factors: (height, width, factors) for models that take them, raw units; NaN
                where they have no value.
            region: Name or code, for models of several regions.
            window: Height and width of a window in pixels; None = those of training
                where the metadata say them, else 512.
            overlap: Pixels that windows share; None = a quarter.
            batch: Windows in a request; None = about a million pixels.

        Returns:
            float32 (height, width) in [0, 1], NaN where a pixel has no value.

        Raises:
            DataError: If window and overlap do not fit each other.
            ModelError: If shapes do not fit, or the server refuses a value.
            RunError: If the server does not answer, or has no such model or version.
        """
        maps = {IMAGE: np.asarray(image)}
        if factors is not None:
            maps[FACTORS] = np.asarray(factors)
        _check_sizes(maps)
        tile, stride = None, 1
        if self.metadata is not None:
            tile, stride = self.metadata.tile, self.metadata.stride
        window, overlap = window_of(tile, stride, window=window, overlap=overlap)
        rows, columns = (
            axis(size, window=window, overlap=overlap, stride=stride)
            for size in maps[IMAGE].shape[:2]
        )
        found = blended(
            maps,
            lambda tiles: self._chance(tiles, region or self._region),
            rows,
            columns,
            batch or batch_size(window),
        )[..., 0]
        if maps[IMAGE].dtype.kind == "f":
            valid = np.abs(maps[IMAGE].astype(np.float32)) < NO_VALUE
            found[~valid.all(axis=-1)] = np.nan
        return found

    def probabilities(self, inputs: Inputs) -> FloatArray:
        """Asks for the probabilities of all classes, as `mapping.Member` wants them.

        Args:
            inputs: `image` float32 (batch, height, width, bands), and `factors` of
                models that take them.

        Returns:
            float32 (batch, height, width, classes). With `?wire=uint8` both ways are
            uint8, and of a model of one channel or two classes the answer comes in
            steps of 1/250.

        Raises:
            ModelError: If the server refuses a value, or values are no uint8.
            RunError: If the server does not answer.
        """
        small = self._address.wire == "uint8"
        found = self._answer(inputs, self._region, small)
        if not small or self.metadata is None or channels_of(self.metadata) == 1:
            return found
        both = (
            [1 - found, found] if self.metadata.landslide_class else [found, 1 - found]
        )
        return np.concatenate(both, axis=-1)

    def _signature(self, name: str) -> Signature:
        known = self._served.signatures
        if name not in known:
            raise ModelError(
                f"`{self.address}` has no signature `{name}`."
                f"{did_you_mean(name, known)}"
            )
        return known[name]

    def _check_metadata(self, metadata: ModelMetadata) -> None:
        """Refuses what `probabilities` could not do, before anything is read."""
        small = self._address.wire == "uint8"
        name = self._chosen(len(metadata.inputs), self._region, small)
        taken = self._signature(name).inputs
        if (FACTORS in taken) != bool(metadata.factors):
            raise ModelError(
                f"`{self.address}` takes {listed(taken)}, and its `model.json` names "
                f"{counted(len(metadata.factors), 'factor')}: it is of another model."
            )
        if small and channels_of(metadata) > 2:
            raise ModelError(
                f"`{self.address}` has {channels_of(metadata)} classes, of which uint8 "
                "answers tell one: leave out `?wire=uint8`."
            )

    def _chosen(self, bands: int, region: str | None, small: bool) -> str:
        """Returns the signature that takes the fewest bytes, of those served."""
        known = self._served.signatures
        if region is not None:
            pair = small and bands == PAIR_BANDS and PAIR in known
            return PAIR if pair else BY_NAME
        if small and self._address.is_rest and bands in BANDS and BYTES in known:
            return BYTES
        return UINT8 if small and UINT8 in known else SIGNATURE

    def _answer(self, inputs: Inputs, region: str | None, small: bool) -> FloatArray:
        """Asks for one channel of landslide where `small`, else for all classes."""
        image = inputs[IMAGE]
        if small:
            uint8 = {IMAGE: (None, np.dtype(np.uint8))}
            image = fitting_arrays({IMAGE: image}, uint8, self.address)[IMAGE]
        name = self._chosen(image.shape[-1], region, small)
        known = self._signature(name)
        given: dict[str, ArrayLike] = {**inputs, IMAGE: image}
        if name == PAIR:
            half = PAIR_BANDS // 2
            given |= {"pre": image[..., :half], "post": image[..., half:]}
            del given[IMAGE]
        elif name == BYTES:
            del given[IMAGE]
            given[IMAGE_BYTES] = np.array([_png(x) for x in image], object)
        if region is not None:
            given[REGION] = np.full(len(image), region, object)
        if small and LANDSLIDE in known.outputs:
            steps = self(given, name, outputs=[LANDSLIDE])[LANDSLIDE]
            found = np.where(steps == NODATA, np.nan, steps / np.float32(UNITS))
        else:
            found = self(given, name, outputs=[PROBABILITIES])[PROBABILITIES]
            if small:
                found = self._landslide_channel(found)
        if found.shape[:3] != image.shape[:3]:
            raise ModelError(
                f"`{self.address}` gives {found.shape} for images of {image.shape}, no "
                "map of them: ask it with `client(inputs)`."
            )
        return found.astype(np.float32)

    def _chance(self, tiles: Inputs, region: str | None) -> FloatArray:
        """Returns the probability of landslide (batch, height, width, 1)."""
        wire = self._address.wire
        small = tiles[IMAGE].dtype == np.uint8 if wire is None else wire == "uint8"
        found = self._answer(tiles, region, small)
        return found if small else self._landslide_channel(found)

    def _landslide_channel(self, probabilities: FloatArray) -> FloatArray:
        classes = probabilities.shape[-1]
        if classes == 1:
            return probabilities
        index = self.metadata and self.metadata.landslide_class
        if not isinstance(index, int) or index >= classes:
            raise ModelError(
                f"which of the {classes} classes of `{self.address}` is landslide is "
                "not known: give its model.json, `Client(…, metadata=…)`."
            )
        return probabilities[..., index : index + 1]


def _check_sizes(maps: Inputs) -> None:
    sizes = [array.shape for array in maps.values()]
    if any(len(s) != 3 or 0 in s or s[:2] != sizes[0][:2] for s in sizes):
        raise ModelError(
            "Expected `image` (height, width, bands), and `factors` of the same height "
            f"and width, received {', '.join(map(str, sizes))}."
        )


def _of_region(metadata: ModelMetadata, region: str) -> ModelMetadata:
    arguments = {k: v for k, v in metadata.arguments.items() if k != "regions"}
    update = {
        "name": f"{metadata.name}-{region}",
        "arguments": {"region": region, **arguments},
    }
    return metadata.model_copy(update=update)


def _png(image: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(
        stream, "PNG"
    )
    return stream.getvalue()
