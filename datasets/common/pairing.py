"""Pairing images with their masks by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

from etils import epath

from landslide_tf.errors import DataError
from landslide_tf.words import counted

# Names and numbers of files, and positions of tiles.
Key = TypeVar(
    "Key", str, int, tuple[int, int], tuple[str, int], tuple[str, tuple[float, ...]]
)


@dataclasses.dataclass(frozen=True)
class Pair(Generic[Key]):
    """An image and its mask; None = unlabelled."""

    key: Key
    image: epath.Path
    mask: epath.Path | None


@dataclasses.dataclass(frozen=True)
class Found(Generic[Key]):
    """What the folders of a part hold.

    Attributes:
        pairs: Images with their masks, in the order of their keys.
        lone_masks: Names of masks without an image.
        ignored: Names of files that do not belong to the data set.
        lone_images: Names of images without a mask, where that is no error.
    """

    pairs: list[Pair[Key]]
    lone_masks: list[str] = dataclasses.field(default_factory=list)
    ignored: list[str] = dataclasses.field(default_factory=list)
    lone_images: list[str] = dataclasses.field(default_factory=list)


def match_files(
    images: epath.Path,
    masks: epath.Path | None,
    *,
    key: Callable[[str], Key | None],
    suffixes: Collection[str],
    mask_suffixes: Collection[str] | None = None,
) -> Found[Key]:
    """Matches the files of two folders, whatever is missing.

    Args:
        images: Folder of the images.
        masks: Folder of their masks; None = there is none.
        key: Tells from a file's stem what it shows; None = not a file of the set.
        suffixes: Suffixes of images, lower case with their dot.
        mask_suffixes: Suffixes of masks; None = as the images.

    Returns:
        All images with their masks, and leftovers.

    Raises:
        DataError: If two files have one key.
    """
    shown, ignored = by_key(images, key, suffixes)
    labelled: dict[Key, epath.Path] = {}
    if masks is not None:
        labelled, others = by_key(masks, key, mask_suffixes or suffixes)
        ignored = sorted(ignored + others)
    return Found(
        [Pair(k, shown[k], labelled.get(k)) for k in sorted(shown)],
        sorted(labelled[k].name for k in labelled.keys() - shown.keys()),
        ignored,
    )


def pair_files(
    images: epath.Path,
    masks: epath.Path | None,
    *,
    key: Callable[[str], Key | None],
    suffixes: Collection[str],
    mask_suffixes: Collection[str] | None = None,
    mask_name: Callable[[Key], str] | None = None,
) -> Found[Key]:
    """Pairs the files of two folders, where every image must have a mask.

    Args:
        images: Folder of the images.
        masks: Folder of their masks; None = the part is unlabelled.
        key: As in `match_files`.
        suffixes: As in `match_files`.
        mask_suffixes: As in `match_files`.
        mask_name: Gives the name of a mask's file, for the message where it is missing.

    Returns:
        Pairs and leftovers.

    Raises:
        DataError: If there is no image, two files have one key, or an image of a
            labelled part has no mask.
    """
    found = match_files(
        images, masks, key=key, suffixes=suffixes, mask_suffixes=mask_suffixes
    )
    if not found.pairs:
        raise DataError(
            f"`{images}` must hold images ({', '.join(sorted(suffixes))}), received "
            f"none among {counted(len(found.ignored), 'file')}; restore them or remove "
            "the folder."
        )
    for pair in found.pairs:
        if masks is not None and pair.mask is None:
            named = f" `{mask_name(pair.key)}`" if mask_name else ""
            raise DataError(
                f"`{pair.image}` has no mask{named} in `{masks}`; restore it or remove "
                "the image."
            )
    return found


def by_key(
    folder: epath.Path, key: Callable[[str], Key | None], suffixes: Collection[str]
) -> tuple[dict[Key, epath.Path], list[str]]:
    """Lists the files of a folder by what they show.

    Args:
        folder: The folder.
        key: Tells from a file's stem what it shows; None = not a file of the set.
        suffixes: Suffixes of wanted files, lower case with their dot.

    Returns:
        Files by key, and "folder/name" of all others.

    Raises:
        DataError: If two files have one key.
    """
    found: dict[Key, epath.Path] = {}
    ignored = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        wanted = path.suffix.lower() in suffixes and not path.name.startswith(".")
        name = key(path.stem) if wanted and path.is_file() else None
        if name is None:
            ignored.append(f"{folder.name}/{path.name}")
        elif name in found:
            raise DataError(
                f"`{path}` must be the only file of `{name}`, received "
                f"`{found[name].name}` as well; keep one of them."
            )
        else:
            found[name] = path
    return found, ignored
