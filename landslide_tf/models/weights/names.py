"""Which name a layer's weights have in the code that trained them, as data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from landslide_tf.errors import ModelError, did_you_mean

_FOLDER = Path(__file__).parent / "names"
_NUMBER = re.compile(r"\{(\w+)(?:-(\d+))?\}")


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    source: str = ""
    like: str | None = None
    prefixes: list[str] = ["module."]
    layers: dict[str, str | list[str]]
    unused: list[str] = []


@dataclass(frozen=True)
class NameMap:
    """Names of layers, here and in a file of weights.

    Attributes:
        title: What it was read from.
        prefixes: What may stand before every name of the file.
        layers: A pattern of our names, and makers of the names in the file, of which
            one must be there.
        unused: First parts of names that the network has no use for.
    """

    title: str
    prefixes: tuple[str, ...]
    layers: Mapping[re.Pattern[str], tuple[Callable[[re.Match[str]], str], ...]]
    unused: tuple[str, ...]

    def of(self, layer: str) -> list[str]:
        """Returns the names that a layer may have in the file.

        Args:
            layer: Its name here, such as `"conv1_bn"`; a layer within another one
                follows it after a `/`; those of `tsmu_net` follow `trunk/`,
                `decoder1/`, `decoder2/` and so on.
        """
        for pattern, makers in self.layers.items():
            if match := pattern.fullmatch(layer):
                return [make(match) for make in makers]
        return []

    def plain(self, name: str) -> str:
        """Returns a name of the file without what may stand before every name."""
        while name.startswith(self.prefixes):
            name = name.removeprefix(
                next(p for p in self.prefixes if name.startswith(p))
            )
        return name

    def is_unused(self, name: str) -> bool:
        """Says whether the network may do without an array of the file."""
        return any(f"{name}.".startswith(f"{part}.") for part in self.unused)


def shipped_names() -> list[str]:
    """Lists the networks whose names in the released code are known.

    Example:
        >>> from landslide_tf.models import weights
        >>> "mffe_net" in weights.shipped_names()
        True
    """
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def read_names(names: str | Path) -> NameMap:
    """Reads names of layers.

    Args:
        names: A name of `shipped_names()`, or a YAML or JSON file. Its section
            `layers` gives, for names of layers here, the name in the file of weights
            or a list of names of which one is there. `{n}` in a name here stands for
            a number, which `{n}` in the name there repeats and `{n-1}` lowers by one.
            `prefixes` and `unused` are lists of text; `like` adds the names of a
        network of `shipped_names()`.

    Returns:
        The names.

    Raises:
        ModelError: If there are none, or the file is not of this form.
    """
    shipped = str(names) in shipped_names()
    path = _FOLDER / f"{names}.yaml" if shipped else Path(names)
    if not path.is_file():
        raise ModelError(
            f"`{names}` is neither a file of names of layers (`--names FILE`) nor a "
            f"network whose names are known.{did_you_mean(str(names), shipped_names())}"
        )
    try:
        content = _Content.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = " ".join(str(error).split())
        raise ModelError(f"`{path}` is not valid YAML or JSON: {line}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise ModelError(
            f"`{path}` does not hold names of layers: `{key}`: {first['msg']}; "
            "expected `layers:` with a name here and the name there on each line."
        ) from error
    layers = {}
    for ours, theirs in content.layers.items():  # the first that fits counts
        pattern = _pattern(ours)
        options = [theirs] if isinstance(theirs, str) else theirs
        layers[pattern] = tuple(_maker(text, pattern, path) for text in options)
    if content.like is not None:
        for pattern, makers in read_names(content.like).layers.items():
            layers.setdefault(pattern, makers)
    return NameMap(str(names), tuple(content.prefixes), layers, tuple(content.unused))


def _pattern(text: str) -> re.Pattern[str]:
    """Returns the pattern of names in which `{n}` stands for a number."""
    parts = re.split(r"\{(\w+)\}", text)
    parts[::2] = map(re.escape, parts[::2])
    parts[1::2] = (rf"(?P<{name}>\d+)" for name in parts[1::2])
    return re.compile("".join(parts))


def _maker(
    text: str, pattern: re.Pattern[str], path: Path
) -> Callable[[re.Match[str]], str]:
    """Returns what fills the numbers of a matched name into another one."""
    for number in _NUMBER.finditer(text):
        if number[1] not in pattern.groupindex:
            raise ModelError(
                f"`{path}`: `{text}` has `{number[0]}`, which the name before it does "
                "not have."
            )
    return lambda match: _NUMBER.sub(
        lambda number: str(int(match[number[1]]) - int(number[2] or 0)), text
    )
