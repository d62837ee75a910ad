"""A finished run adapts to a region without labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from landslide_tf.errors import RecipeError, did_you_mean
from landslide_tf.pipelines import split_name
from landslide_tf.train.engine import train
from landslide_tf.train.recipe.schema import Recipe, change_recipe, load_recipe
from landslide_tf.train.run.folder import RunFolder
from landslide_tf.train.run.session import Session
from landslide_tf.train.transfer.compatibility import start_values

METHOD = "ada_net"


def adapt_recipe(
    source: RunFolder,
    target: str,
    *,
    recipe: str | Path = METHOD,
    aux_layer: str | None = None,
    changes: Sequence[str] = (),
) -> Recipe:
    """Returns the recipe that continues a run and adapts it to another region.

    Data, network and seed are the run's; loss, optimiser, schedule, augmentation,
    length and the adaptation itself are the method's.

    Args:
        source: A finished run of any segmentation network.
        target: `name[/config][:split]` of the target, by default its `train`.
        recipe: Of the method: shipped recipe or YAML file with a section `adaptation`.
        aux_layer: Layer for a second level; None is the method's where the network
            has that layer, else there is one level.
        changes: Values to change, each `section.key=value`.

    Returns:
        The recipe; `train` trains it and `resume` resumes it.

    Raises:
        RecipeError: If the method has no section `adaptation`, or the network no such
            layer.
        DataError: If `target` names no data.
        RunError: If the run has not ended.
    """
    split_name(target)
    chosen = load_recipe(recipe)
    if chosen.adaptation is None:
        raise RecipeError(
            f"Recipe `{recipe}` has no section `adaptation`: name another method, such "
            f"as `{METHOD}`."
        )
    metadata, own = source.read_metadata(), source.read_recipe()
    names = [layer.name for layer in source.load_model().layers]
    if aux_layer is not None and aux_layer not in names:
        raise RecipeError(
            f"`aux_layer`: `{metadata.builder}` has no layer `{aux_layer}`."
            f"{did_you_mean(aux_layer, names)}"
        )
    if aux_layer is None and chosen.adaptation.aux_layer in names:
        aux_layer = chosen.adaptation.aux_layer
    values = {
        "description": f"{metadata.name} adapted to {target}: {chosen.description}",
        "data": own.data.model_dump(mode="json"),
        **start_values(source, metadata),
        "training.seed": own.training.seed,
        "training.patch": own.training.patch,
        "adaptation.target": target,
        "adaptation.aux_layer": aux_layer,
    }
    return change_recipe(chosen, changes, values)


def adapt(
    source: str | Path,
    target: str,
    folder: str | Path,
    *,
    recipe: str | Path = METHOD,
    aux_layer: str | None = None,
    changes: Sequence[str] = (),
    session: Session | None = None,
) -> RunFolder:
    """Adapts a run's network to a region without labels (`adapt_recipe`).

    Args:
        source: Folder of a finished run.
        target: As for `adapt_recipe`.
        folder: The new run's folder; missing or empty.
        recipe: As for `adapt_recipe`.
        aux_layer: As for `adapt_recipe`.
        changes: As for `adapt_recipe`.
        session: Folders of data and output.

    Returns:
        The finished run, of the source's network.

    Raises:
        RecipeError: As for `adapt_recipe`.
        DataError: If the target is missing or of other bands.
        RunError: If the source has not ended, the folder is in use, or the adaptation
            has collapsed.
    """
    chosen = adapt_recipe(
        RunFolder(Path(source)),
        target,
        recipe=recipe,
        aux_layer=aux_layer,
        changes=changes,
    )
    return train(chosen, folder, session)
