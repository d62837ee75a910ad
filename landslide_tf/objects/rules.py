"""The geologic filter: bounds of attributes that tell landslides from other objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from numpy.typing import ArrayLike, NDArray

from landslide_tf.errors import DataError, check_choice
from landslide_tf.files import write_text
from landslide_tf.objects.attributes import TERRAIN
from landslide_tf.words import counted

ATTRIBUTES = (
    "area_m2",
    "area_px",
    "perimeter_m",
    "length_m",
    "width_m",
    "lwr",
    "rectangularity",
    "compactness",
    "solidity",
    "eq_diameter_m",
    "probability",
    "max_prob",
    *(name for name in TERRAIN if name != "aspect_mean_deg"),
    "pre_overlap",
    "veg_loss",
)
"""Attributes that rules may bound; directions have no smallest or largest value."""

Side = Literal["min", "max"]
_SIDES: tuple[Side, Side] = ("min", "max")
_QUANTILES = (0.02, 0.98)


@dataclass(frozen=True)
class Rule:
    """A bound of one attribute that objects must keep.

    Attributes:
        side: `"min"` or `"max"`.
        attribute: One of `ATTRIBUTES`.
        bound: Smallest or largest value that is kept.
        where: Objects that it holds for: those of at least these values, by attribute.

    >>> from landslide_tf.objects import Rule
    >>> Rule("max", "lwr", 12).name
    'max_lwr'
    """

    side: Side
    attribute: str
    bound: float
    where: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What reports and `rule` columns call it."""
        return f"{self.side}_{self.attribute}"


DEFAULT_RULES = (
    Rule("min", "area_m2", 100),
    Rule("min", "area_px", 16),
    Rule("max", "lwr", 12),
    Rule("max", "rectangularity", 0.95, {"area_px": 64}),
    Rule("min", "slope_mean_deg", 8),
    Rule("min", "relief_m", 5),
    Rule("min", "probability", 0.5),
)
"""Bounds against speckle, roads and rivers, buildings and fields, river beds, flat and
weakly detected ground. The published scheme names the attributes only: the bounds are
this project's."""


@dataclass(frozen=True)
class Filtered:
    """What rules say of objects.

    Attributes:
        rejected_by: Names of the rules that reject each object, in the order tried.
        not_evaluated: Objects of which a rule's attribute is not known, by rule.

    >>> from landslide_tf.objects import Filtered
    >>> Filtered((("max_lwr",), ()), {}).kept.tolist()
    [False, True]
    """

    rejected_by: tuple[tuple[str, ...], ...]
    not_evaluated: Mapping[str, int]

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Objects that no rule rejects, (N,)."""
        return np.array([not names for names in self.rejected_by], bool)


def apply_rules(
    table: Mapping[str, ArrayLike], rules: Iterable[Rule], number: int
) -> Filtered:
    """Tries rules on objects; one whose attribute is not known rejects nothing.

    Args:
        table: Attributes of the objects (N,) by name, NaN = not known.
        rules: The rules, in order.
        number: Objects, N.

    Returns:
        What the rules say.

    >>> from landslide_tf.objects import Rule, apply_rules
    >>> table = {"lwr": [3.0, 20.0]}
    >>> rules = [Rule("max", "lwr", 12), Rule("min", "slope_mean_deg", 8)]
    >>> found = apply_rules(table, rules, 2)
    >>> found.rejected_by, found.not_evaluated
    (((), ('max_lwr',)), {'min_slope_mean_deg': 2})
    """
    reasons: list[list[str]] = [[] for _ in range(number)]
    unknown = {}
    for rule in rules:
        concerned = np.ones(number, bool)
        for attribute, least in rule.where.items():
            concerned &= _column(table, attribute, number) >= least
        values = _column(table, rule.attribute, number)
        sign = 1 if rule.side == "min" else -1
        failed = concerned & (sign * values < sign * rule.bound)
        for index in np.flatnonzero(failed):
            reasons[index].append(rule.name)
        if missing := int((concerned & np.isnan(values)).sum()):
            unknown[rule.name] = missing
    return Filtered(tuple(map(tuple, reasons)), unknown)


def _column(
    table: Mapping[str, ArrayLike], attribute: str, number: int
) -> NDArray[np.float64]:
    if attribute not in table:
        return np.full(number, np.nan)
    return np.asarray(table[attribute], np.float64)


def fit_geologic_rules(
    table: Mapping[str, ArrayLike], landslide: ArrayLike
) -> tuple[Rule, ...]:
    """Learns bounds from labelled objects, which must be of other scenes.

    The bounds of an attribute are the 2 % and 98 % quantiles of true landslides. An
    attribute is kept if its bounds reject more false than true objects.

    Args:
        table: Attributes of the objects (N,) by name, NaN = not known.
        landslide: Which objects are landslides, boolean (N,).

    Returns:
        The rules, in the order of `ATTRIBUTES`.

    Raises:
        DataError: If there are not both landslides and other objects.

    >>> import numpy as np
    >>> from landslide_tf.objects import fit_geologic_rules
    >>> lwr = np.concatenate([np.linspace(1, 5, 50), np.linspace(10, 30, 20)])
    >>> found = fit_geologic_rules({"lwr": lwr}, np.arange(70) < 50)
    >>> [(rule.name, round(rule.bound, 2)) for rule in found]
    [('min_lwr', 1.08), ('max_lwr', 4.92)]
    """
    true = np.asarray(landslide, bool)
    if true.all() or not true.any():
        raise DataError(
            f"Expected landslides and other objects to learn from, received "
            f"{counted(int(true.sum()), 'landslide')} of "
            f"{counted(true.size, 'object')}."
        )
    rules: list[Rule] = []
    for attribute in ATTRIBUTES:
        values = _column(table, attribute, true.size)
        known = ~np.isnan(values)
        if not (known & true).any():
            continue
        low, high = np.quantile(values[known & true], _QUANTILES)
        rejected = known & ((values < low) | (values > high))
        if np.count_nonzero(rejected & ~true) > np.count_nonzero(rejected & true):
            rules += [
                Rule(side, attribute, float(bound))
                for side, bound in zip(_SIDES, (low, high), strict=True)
            ]
    return tuple(rules)


def read_rules(path: str | Path) -> tuple[Rule, ...]:
    r"""Reads rules from a YAML file of `min_ATTRIBUTE` and `max_ATTRIBUTE`.

    A value is a number, null for a rule that is switched off, or `{bound: NUMBER,
    where: {min_ATTRIBUTE: NUMBER}}`.

    Args:
        path: The file.

    Returns:
        The rules, in the order of the file.

    Raises:
        DataError: If the file cannot be read or a rule is none.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from landslide_tf.objects import read_rules
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "rules.yaml")
    ...     _ = path.write_text("max_lwr: 10\nmin_area_m2: null\n")
    ...     [(rule.name, rule.bound) for rule in read_rules(path)]
    [('max_lwr', 10.0)]
    """
    try:
        content = yaml.safe_load(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        line = " ".join(str(error).split())
        raise DataError(f"Rules `{path}` cannot be read: {line}") from error
    if not isinstance(content, dict):
        raise DataError(f"Rules `{path}` must hold lines such as `max_lwr: 12`.")
    rules = []
    for name, value in content.items():
        side, attribute = _parts(str(name), path)
        where: Mapping[str, Any] = {}
        if isinstance(value, dict):
            if not {"bound"} <= set(value) <= {"bound", "where"}:
                raise DataError(
                    f"Rules `{path}`: `{name}` must hold `bound` and perhaps `where`, "
                    f"received {sorted(map(str, value))}."
                )
            where, value = value.get("where") or {}, value["bound"]
        if value is None:
            continue
        limits = {}
        for part, least in where.items():
            of, limited = _parts(str(part), path)
            check_choice("where", of, ["min"])
            limits[limited] = _number(least, str(part), path)
        bound = _number(value, str(name), path)
        rules.append(Rule(side, attribute, bound, limits))
    return tuple(rules)


def _parts(name: str, path: str | Path) -> tuple[Side, str]:
    known = [f"{side}_{attribute}" for attribute in ATTRIBUTES for side in _SIDES]
    check_choice(f"{path}: a rule", name, known)
    side, _, attribute = name.partition("_")
    return ("min" if side == "min" else "max"), attribute


def _number(value: object, name: str, path: str | Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(
            f"Rules `{path}`: `{name}` must be a number or null, received `{value}`."
        )
    return float(value)


def write_rules(rules: Sequence[Rule], path: str | Path) -> None:
    """Writes rules as the YAML file that `read_rules` reads.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from landslide_tf.objects import DEFAULT_RULES, read_rules, write_rules
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_rules(DEFAULT_RULES, Path(folder, "rules.yaml"))
    ...     read_rules(Path(folder, "rules.yaml")) == DEFAULT_RULES
    True
    """
    content: dict[str, Any] = {}
    for rule in rules:
        where = {f"min_{name}": least for name, least in rule.where.items()}
        value = {"bound": rule.bound, "where": where} if where else rule.bound
        content[rule.name] = value
    write_text(path, yaml.safe_dump(content, sort_keys=False))
