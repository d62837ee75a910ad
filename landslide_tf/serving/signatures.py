"""What an export answers: signatures over one copy of the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError, did_you_mean
from landslide_tf.metadata import Terrain
from landslide_tf.serving import elevations, image_bytes, requests
from landslide_tf.serving.decisions import decided
from landslide_tf.serving.network import (
    FACTORS,
    IMAGE,
    PROBABILITIES,
    REGION,
    Network,
)
from landslide_tf.serving.regions import RegionNames
from landslide_tf.serving.served_model import SIGNATURE

if TYPE_CHECKING:
    import tensorflow as tf

    from landslide_tf.layers import EvidentialFusion

UINT8, BYTES, DEM = "predict_uint8", "predict_image_bytes", "predict_dem"
BY_NAME, PAIR, FUSE = "by_name", "pair_uint8", "fuse"

PAIR_BANDS = 6

Tensors: TypeAlias = dict[str, Tensor]
Answer: TypeAlias = Callable[[Tensors], Tensors]


def chosen(network: Network, wanted: Iterable[str] | None) -> list[str]:
    """Returns the signatures that an export gets, `serving_default` first.

    Args:
        network: The network.
        wanted: Names; None = all that the network can have.

    Raises:
        ModelError: If the network cannot have one of them.
    """
    possible = _possible(network)
    if wanted is None:
        return possible
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in names:
        if name not in possible:
            raise ModelError(
                f"`{network.name}` cannot have the signature `{name}`."
                f"{did_you_mean(name, possible)}"
            )
    return [name for name in possible if name in names or name == SIGNATURE]


def _possible(network: Network) -> list[str]:
    names = [SIGNATURE]
    inputs = network.inputs
    if network.gives_probabilities and set(inputs) <= {IMAGE, FACTORS, REGION}:
        bands = inputs[IMAGE].shape[-1]
        names.append(UINT8)
        if bands in image_bytes.BANDS:
            names.append(BYTES)
        if _from_elevations(network):
            names.append(DEM)
        if network.regions:
            names.append(BY_NAME)
            if bands == PAIR_BANDS:
                names.append(PAIR)
    if _fusion(network) is not None:
        names.append(FUSE)
    return names


def _from_elevations(network: Network) -> list[str]:
    """Returns the factors of a network that elevations give."""
    factors = [factor.name for factor in network.metadata.factors]
    return [name for name in factors if name in elevations.DERIVED]


def _fusion(network: Network) -> EvidentialFusion | None:
    from landslide_tf.layers import EvidentialFusion

    for layer in network.model.layers:
        if isinstance(layer, EvidentialFusion):
            return layer
    return None


class Signatures:
    """Makes the signatures of an export.

    Args:
        network: What is served.
        module: What is saved; keeps what the graph needs.
        max_pixels: Most pixels of a request; None = any number.
    """

    def __init__(
        self, network: Network, module: tf.Module, max_pixels: int | None
    ) -> None:
        import tensorflow as tf

        self.network = network
        self.limits = requests.Limits(network.smallest, max_pixels)
        self._module = module
        self._shapes: dict[str, Shape] = {
            name: (None, *tensor.shape[1:]) for name, tensor in network.inputs.items()
        }
        specs = {
            name: tf.TensorSpec(shape, network.inputs[name].dtype, name=name)
            for name, shape in self._shapes.items()
        }
        # Every signature calls this one graph, so that the network is written once.
        self.run = tf.function(
            network.__call__, input_signature=[specs], autograph=False
        ).get_concrete_function()

    def made(self, names: Iterable[str]) -> dict[str, Answer]:
        """Returns concrete functions by name."""
        make = {
            SIGNATURE: self._by_number,
            UINT8: self._of_bytes,
            BYTES: self._of_files,
            DEM: self._of_elevations,
            BY_NAME: self._by_name,
            PAIR: self._of_pairs,
            FUSE: self._of_branches,
        }
        return {name: make[name]() for name in names}

    def _concrete(self, dtypes: Mapping[str, str], answer: Answer) -> Answer:
        """Returns the function of a signature, whose inputs have no known rank."""
        import tensorflow as tf

        specs = {name: requests.placeholder(name, t) for name, t in dtypes.items()}
        function = tf.function(answer, input_signature=[specs], autograph=False)
        return function.get_concrete_function()

    def _dtypes(self, **changes: str) -> dict[str, str]:
        """Returns the type of each input of the network, some in another form."""
        known = {name: t.dtype for name, t in self.network.inputs.items()}
        return {**known, **changes}

    def _checked(self, inputs: Tensors, **shapes: Shape) -> Tensors:
        known = {name: self._shapes.get(name, ()) for name in inputs}
        return requests.checked(inputs, {**known, **shapes}, self.limits)

    def _answered(self, inputs: Tensors) -> tuple[Tensors, Tensor]:
        """Runs the network on inputs that fit; returns outputs and valid pixels."""
        import tensorflow as tf

        given = dict(inputs)
        valid = tf.constant(True)
        if IMAGE in given and given[IMAGE].dtype.is_floating:
            given[IMAGE], valid = requests.filled(given[IMAGE])
        elif IMAGE in given:
            valid = tf.ones_like(given[IMAGE][..., :1], tf.bool)
        if FACTORS in given:
            missing = float("nan") if self.network.encodes_missing else 0.0
            given[FACTORS] = requests.known_factors(given[FACTORS], missing)
        return self.run(given), valid

    def _decided(self, inputs: Tensors, valid: Tensor | None = None) -> Tensors:
        """Runs the network and decides; pixels that are not `valid` count as others."""
        outputs, filled = self._answered(inputs)
        valid = filled if valid is None else filled & valid
        small = decided(outputs.pop(PROBABILITIES), self.network.metadata, valid)
        return {**outputs, **small}

    def _by_number(self) -> Answer:
        def serve(inputs: Tensors) -> Tensors:
            return self._answered(self._checked(inputs))[0]

        return self._concrete(self._dtypes(), serve)

    def _of_bytes(self) -> Answer:
        import tensorflow as tf

        def serve(inputs: Tensors) -> Tensors:
            fit = self._checked(inputs)
            fit[IMAGE] = tf.cast(fit[IMAGE], self.network.inputs[IMAGE].dtype)
            return self._decided(fit)

        return self._concrete(self._dtypes(image="uint8"), serve)

    def _of_files(self) -> Answer:
        import tensorflow as tf

        bands = self.network.inputs[IMAGE].shape[-1]

        def serve(inputs: Tensors) -> Tensors:
            given = dict(inputs)
            files = given.pop(image_bytes.IMAGE_BYTES)
            image, opaque = image_bytes.decoded(files, bands, self.limits)
            given = {IMAGE: tf.cast(image, self.network.inputs[IMAGE].dtype), **given}
            return self._decided(self._checked(given), opaque)

        dtypes = {image_bytes.IMAGE_BYTES: "string", **self._dtypes()}
        del dtypes[IMAGE]
        return self._concrete(dtypes, serve)

    def _of_elevations(self) -> Answer:
        import tensorflow as tf

        factors = [factor.name for factor in self.network.metadata.factors]
        made = _from_elevations(self.network)
        rest = [name for name in factors if name not in made]
        terrain = self.network.metadata.terrain or Terrain()
        shapes: dict[str, Shape] = {
            elevations.ELEVATION: (None, None, None, 1),
            elevations.CELL_SIZE: (None, 2),
            elevations.LATITUDE: (None,),
        }
        dtypes = self._dtypes(**dict.fromkeys(shapes, "float32"))
        if rest:
            shapes[FACTORS] = (None, None, None, len(rest))
        else:
            del dtypes[FACTORS]

        def serve(inputs: Tensors) -> Tensors:
            fit = self._checked(inputs, **shapes)
            checks = elevations.check_cells(fit, terrain.edges)
            with tf.control_dependencies(checks):
                fit = {name: tf.identity(tensor) for name, tensor in fit.items()}
            relief, known = elevations.derived(fit, made, terrain)
            others = tf.unstack(fit[FACTORS], num=len(rest), axis=-1) if rest else ()
            layers = dict(zip(rest, (o[..., None] for o in others), strict=True))
            layers |= relief
            fit[FACTORS] = tf.concat([layers[name] for name in factors], axis=-1)
            return self._decided({n: fit[n] for n in self._shapes}, known)

        return self._concrete(dtypes, serve)

    def _by_name(self) -> Answer:
        table = self._table

        def serve(inputs: Tensors) -> Tensors:
            fit = self._checked(inputs)
            fit[REGION] = table.indices(fit[REGION])
            outputs, valid = self._answered(fit)
            small = decided(outputs[PROBABILITIES], self.network.metadata, valid)
            return {**outputs, **small}

        return self._concrete(self._dtypes(region="string"), serve)

    def _of_pairs(self) -> Answer:
        import tensorflow as tf

        table = self._table
        half = (*self._shapes[IMAGE][:3], PAIR_BANDS // 2)

        def serve(inputs: Tensors) -> Tensors:
            fit = self._checked(inputs, pre=half, post=half)
            both = tf.concat([fit["pre"], fit["post"]], axis=-1)
            image = tf.cast(both, self.network.inputs[IMAGE].dtype)
            return self._decided({IMAGE: image, REGION: table.indices(fit[REGION])})

        return self._concrete(
            {"pre": "uint8", "post": "uint8", REGION: "string"}, serve
        )

    @cached_property
    def _table(self) -> RegionNames:
        return RegionNames(self.network.regions, self._module)

    def _of_branches(self) -> Answer:
        """Fuses probabilities from anywhere.

        `probs` (batch, branches, 2), calibrated softmax values of (non-landslide,
        landslide) of each branch, to `probabilities`, `label`, `weights`, `conflict`
        and `vacuity`.
        """
        import tensorflow as tf

        layer = _fusion(self.network)
        assert layer is not None  # or `_possible` had not named it
        branches = layer.input.shape[1]

        def fuse(inputs: Tensors) -> Tensors:
            probs = self._checked(inputs, probs=(None, branches, 2))["probs"]
            in_range = tf.reduce_all((probs >= 0) & (probs <= 1))
            words = "`probs` must be softmax values from 0 to 1, received {} to {}."
            check = requests.refuse(
                in_range, words, tf.reduce_min(probs), tf.reduce_max(probs)
            )
            with tf.control_dependencies([check]):
                return layer(tf.identity(probs))

        return self._concrete({"probs": "float32"}, fuse)
