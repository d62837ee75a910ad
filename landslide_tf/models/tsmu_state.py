"""The state of a task-specific update model: one file a trunk and decoder, checked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import keras
from pydantic import BaseModel, ConfigDict, ValidationError

from landslide_tf.errors import ModelError, RunError
from landslide_tf.files import atomic_path, remove_leftovers, sha256, write_text
from landslide_tf.models import tsmu_regions
from landslide_tf.models.tsmu_net import Network, assembled
from landslide_tf.models.weight_files import UNREADABLE, load_strictly, one_line
from landslide_tf.version import __version__

STATE, DECODERS, SUFFIX = "state.json", "decoders", ".weights.h5"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FileRecord(_Strict):
    """A file of weights.

    Attributes:
        file: Its path in the state's folder.
        sha256: Checksum of its bytes.
    """

    file: str
    sha256: str


class RegionRecord(FileRecord):
    """A region and its decoder's file.

    Attributes:
        name: The region; its index is its place in the list.
        step: The step of training whose state this is.
        trunk_sha256: Checksum of the trunk that the decoder belongs to.

    Example:
        >>> from landslide_tf import models
        >>> model = models.tsmu_net(
        ...     ["ETF", "NAD"],
        ...     variant="code",
        ...     trunk_filters=(2,),
        ...     decoder_filters=(2, 4),
        ... )
        >>> record = models.tsmu.save_state(model, "state").regions[1]
        >>> record.name, record.index
        ('NORTH_AMERICAN_DESERTS', 1)
    """

    name: str
    index: int
    step: int
    trunk_sha256: str


class StateRecord(_Strict):
    """`state.json`.

    Attributes:
        format: Version of this schema.
        package_version: Version of the package that wrote it.
        network: Arguments of the network.
        routing: As in `tsmu_net`.
        trunk: The trunk's file.
        regions: By index; None for a removed region, whose index stays unused.
        done: Stages that are done, such as `1_joint`.
        config: The recipe, JSON values.

    Example:
        >>> from landslide_tf import models
        >>> model = models.tsmu_net(
        ...     ["ETF", "NAD"],
        ...     variant="code",
        ...     trunk_filters=(2,),
        ...     decoder_filters=(2, 4),
        ... )
        >>> state = models.tsmu.save_state(model, "state", done=["1_joint"])
        >>> state.routing, state.done
        ('all', ['1_joint'])
    """

    format: Literal[1] = 1
    package_version: str
    network: dict[str, Any]
    routing: str
    trunk: FileRecord
    regions: list[RegionRecord | None]
    done: list[str]
    config: dict[str, Any]


def save_state(
    model: keras.Model,
    folder: str | Path,
    *,
    done: Sequence[str] = (),
    config: dict[str, Any] | None = None,
) -> StateRecord:
    """Writes a model's state; an interruption leaves the former one as it was.

    Weights go to files named by their content; `state.json`, written last and in one
    go, says which of them are the state. Files that it no longer names are removed.

    Args:
        model: A model of `tsmu_net`.
        folder: The state's folder, new or with a former state.
        done: Stages that are done.
        config: The recipe, JSON values.

    Returns:
        What `state.json` says.

    Raises:
        DataError: If the folder cannot be written.
        RunError: If the disk is full.

    Example:
        >>> from landslide_tf import models
        >>> model = models.tsmu_net(
        ...     ["ETF", "NAD"],
        ...     variant="code",
        ...     trunk_filters=(2,),
        ...     decoder_filters=(2, 4),
        ... )
        >>> models.tsmu.save_state(model, "state").trunk.file.split(".")[0]
        'trunk'
    """
    folder = Path(folder)
    former = _sums(folder)
    names = tsmu_regions.regions(model)
    try:
        trunk = _write(tsmu_regions.trunk(model), folder, "trunk", former)
        made = tsmu_regions.decoders(model)
        records: list[RegionRecord | None] = []
        for index, name in enumerate(names):
            if name is None:
                records.append(None)
                continue
            file = _write(made[name], folder, f"{DECODERS}/{name}", former)
            records.append(
                RegionRecord(
                    **file.model_dump(),
                    name=name,
                    index=index,
                    step=len(names) - 1,
                    trunk_sha256=trunk.sha256,
                )
            )
        state = StateRecord(
            package_version=__version__,
            network=tsmu_regions.network(model).config(),
            routing=tsmu_regions.routing(model),
            trunk=trunk,
            regions=records,
            done=list(done),
            config=config or {},
        )
        write_text(folder / STATE, state.model_dump_json(indent=1) + "\n")
    except OSError as error:
        raise RunError(
            f"State `{folder}` cannot be written: {error.strerror or error}; the "
            "former one is kept. Free some space and resume it with `--resume`."
        ) from error
    _remove_others(folder, state)
    return state


def read_state(folder: str | Path) -> StateRecord:
    """Reads `state.json` and compares every checksum.

    Args:
        folder: The state's folder.

    Returns:
        What the state says.

    Raises:
        RunError: If there is no state, a file is missing or damaged, or a decoder
            belongs to another trunk.

    Example:
        >>> from landslide_tf import models
        >>> model = models.tsmu_net(
        ...     ["ETF", "NAD"],
        ...     variant="code",
        ...     trunk_filters=(2,),
        ...     decoder_filters=(2, 4),
        ... )
        >>> written = models.tsmu.save_state(model, "state")
        >>> models.tsmu.read_state("state") == written
        True
    """
    path = Path(folder) / STATE
    try:
        state = StateRecord.model_validate_json(path.read_text("utf-8"))
    except OSError as error:
        raise RunError(
            f"`{path}` cannot be read ({error.strerror}): not the state of a continual "
            "training."
        ) from error
    except (ValidationError, ValueError) as error:
        raise RunError(f"`{path}` is damaged: {one_line(error)}") from error
    for record in (state.trunk, *filter(None, state.regions)):
        file = Path(folder) / record.file
        if not file.resolve().is_relative_to(Path(folder).resolve()):
            raise RunError(
                f"`{path}` names `{record.file}`, which lies out of its folder."
            )
        if not file.is_file() or sha256(file) != record.sha256:
            raise RunError(
                f"`{file}` is missing, damaged or of another step than `{path}`: "
                "restore the folder as it was saved."
            )
        if isinstance(record, RegionRecord) and (
            record.trunk_sha256 != state.trunk.sha256
        ):
            raise RunError(
                f"`{file}` belongs to another trunk than `{state.trunk.file}`: restore "
                "the folder as it was saved."
            )
    return state


def load_state(folder: str | Path) -> keras.Model:
    """Loads the model of a state.

    Args:
        folder: The state's folder.

    Returns:
        The model, its weights those that were saved.

    Raises:
        RunError: As `read_state`.

    Example:
        >>> from landslide_tf import models
        >>> model = models.tsmu_net(
        ...     ["ETF", "NAD"],
        ...     variant="code",
        ...     trunk_filters=(2,),
        ...     decoder_filters=(2, 4),
        ... )
        >>> _ = models.tsmu.save_state(model, "state")
        >>> models.tsmu.regions(models.tsmu.load_state("state"))
        ('EASTERN_TEMPERATE_FORESTS', 'NORTH_AMERICAN_DESERTS')
    """
    folder = Path(folder)
    state = read_state(folder)
    network = Network(**state.network)
    trunk = network.trunk()
    made = {r.name: network.decoder(r.name, trunk) for r in state.regions if r}
    for part, record in (
        (trunk, state.trunk),
        *((made[r.name], r) for r in state.regions if r),
    ):
        try:
            load_strictly(part, folder / record.file)
        except ModelError:
            raise
        except UNREADABLE as error:
            raise RunError(
                f"`{folder / record.file}` does not fit the network of `{STATE}`: "
                f"{one_line(error)}"
            ) from error
    names = [r.name if r else None for r in state.regions]
    return assembled(
        network, trunk, names, made, routing=state.routing, name="tsmu_net"
    )


def _write(
    part: keras.Model, folder: Path, name: str, former: dict[str, str]
) -> FileRecord:
    digest = hashlib.sha256()
    for weight in part.get_weights():
        digest.update(weight.tobytes())
    file = f"{name}.{digest.hexdigest()[:12]}{SUFFIX}"
    path = folder / file
    # The former state's own file must keep its bytes until `state.json` is replaced.
    if not path.is_file() or former.get(file) != sha256(path):
        with atomic_path(path) as temporary:
            part.save_weights(temporary)
    return FileRecord(file=file, sha256=sha256(path))


def _sums(folder: Path) -> dict[str, str]:
    """Returns the checksums that the former state, if any, names by file."""
    try:
        state = StateRecord.model_validate_json((folder / STATE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {r.file: r.sha256 for r in (state.trunk, *filter(None, state.regions))}


def _remove_others(folder: Path, state: StateRecord) -> None:
    kept = {folder / r.file for r in (state.trunk, *filter(None, state.regions))}
    for path in (*folder.glob(f"trunk.*{SUFFIX}"), *folder.glob(f"{DECODERS}/*")):
        if path not in kept and path.name.endswith(SUFFIX):
            path.unlink(missing_ok=True)
    remove_leftovers(folder)
    remove_leftovers(folder / DECODERS)
