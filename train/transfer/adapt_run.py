"""A finished run adapts to a region without labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from landslide_tf.errors import RecipeError, did_you_mean
from landslide_tf.pipelines import split_name
from landslide_tf.train.engine import Session, train
from landslide_tf.train.recipe.schema import Recipe, change_recipe, load_recipe
from landslide_tf.train.run.folder import RunFolder

METHOD = "ada_net"
DERIVED = ("num_classes", "input_shape", "classifier_activation")


def adapt_recipe(
    source: RunFolder,
    target: str,
    *,
    method: str | Path = METHOD,
    aux_layer: str | None = None,
    changes: Sequence[str] = (),
) -> Recipe:
    """Returns the recipe that goes on with a run, adapting to another region.

    Data, network and seed are the run's; loss, optimiser, schedule, augmentation,
    length and the adaptation itself are the method's.

    Args:
        source: A finished run of any segmentation network.
        target: `name[/config][:split]` of the target, by default its `train`.
        method: Shipped recipe or YAML file with a section `adaptation`.
        aux_layer: Layer for a second level; None is the method's where the network
            has that layer, else there is one level.
        changes: Values to change, each `section.key=value`.

    Returns:
        The recipe; `train` trains it and `resume` takes it up.

    Raises:
        RecipeError: If the method has no section `adaptation`, or the network no such
            layer.
        DataError: If `target` names no data.
        RunError: If the run has not ended.
    """
    split_name(target)
    recipe = load_recipe(method).model_copy(deep=True)
    if recipe.adaptation is None:
        raise RecipeError(
            f"Recipe `{method}` has no section `adaptation`: name another method, such "
            f"as `{METHOD}`."
        )
    metadata, own = source.read_metadata(), source.read_recipe()
    names = [layer.name for layer in source.load_model().layers]
    if aux_layer is not None and aux_layer not in names:
        raise RecipeError(
            f"`aux_layer`: `{metadata.builder}` has no layer `{aux_layer}`."
            f"{did_you_mean(aux_layer, names)}"
        )
    if aux_layer is None and recipe.adaptation.aux_layer in names:
        aux_layer = recipe.adaptation.aux_layer
    recipe.description = f"{metadata.name} adapted to {target}: {recipe.description}"
    recipe.data = own.data
    recipe.model.name = metadata.builder
    recipe.model.arguments = {
        k: v for k, v in metadata.arguments.items() if k not in DERIVED
    }
    recipe.model.stem, recipe.model.prior_bias = None, False
    recipe.model.start = str(source.path.resolve())
    recipe.training.seed = own.training.seed
    recipe.training.patch = own.training.patch
    recipe.adaptation.target = target
    recipe.adaptation.aux_layer = aux_layer
    return change_recipe(recipe, changes)


def adapt(
    source: str | Path,
    target: str,
    folder: str | Path,
    *,
    method: str | Path = METHOD,
    aux_layer: str | None = None,
    changes: Sequence[str] = (),
    session: Session | None = None,
) -> RunFolder:
    """Adapts a run's network to a region without labels (`adapt_recipe`).

    Args:
        source: Folder of a finished run.
        target: As for `adapt_recipe`.
        folder: The new run's folder; missing or empty.
        method: As for `adapt_recipe`.
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
    recipe = adapt_recipe(
        RunFolder(Path(source)),
        target,
        method=method,
        aux_layer=aux_layer,
        changes=changes,
    )
    return train(recipe, folder, session)
