"""The values of a pickle that `torch.save` wrote, without running anything in it.

Python's own unpickler calls what a file names, and even with its names restricted a
file makes it reserve memory at will. Here the opcodes, which `pickletools` lists, are
followed on plain values alone: no callable of any kind is looked up. Apart from the
files that hold such pickles (`torch_file`), for what it must never do.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import IO, Protocol

from landslide_tf.errors import ModelError

# Type of each storage in the notation of NumPy, little endian. NumPy has no bfloat16:
# its bits are the upper half of a float32.
STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}
_ORDERED_DICT = "collections OrderedDict"
_TENSORS = ("torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2")
_PARAMETER = "torch._utils _rebuild_parameter"
# A NumPy number, as which trainers keep their best score beside the weights: passed
# over, never made.
_PASSED_OVER = (
    "numpy.core.multiarray scalar",
    "numpy._core.multiarray scalar",
    "numpy dtype",
    "_codecs encode",
)
_ADMITTED = {
    _ORDERED_DICT,
    *_TENSORS,
    _PARAMETER,
    *_PASSED_OVER,
    *(f"torch {name}" for name in STORAGES),
}


@dataclass(frozen=True)
class Storage:
    """A run of numbers elsewhere in the file.

    Attributes:
        key: Its name there.
        kind: A key of `STORAGES`.
        count: Numbers in it.
        start: First number that belongs to it; above 0 for a part of another one.
    """

    key: str
    kind: str
    count: int
    start: int = 0


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as a view of a storage; offset and strides count numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Source(Protocol):
    """What opcodes are read from; reading more than is left gives what is left."""

    def read(self, size: int = ..., /) -> bytes:
        """Returns up to `size` bytes."""

    def readline(self) -> bytes:
        """Returns the bytes up to the end of a line."""


@dataclass(frozen=True)
class _Global:
    name: str


_MARK = object()
# Opcodes whose argument is the value: numbers, text and bytes.
_NUMBERS = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4")
_TEXTS = ("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
_STRINGS = ("STRING", "BINSTRING", "SHORT_BINSTRING")
_BYTES = ("BINBYTES", "SHORT_BINBYTES", "BINBYTES8")
_VALUES = {*_NUMBERS, "FLOAT", "BINFLOAT", *_TEXTS, *_STRINGS, *_BYTES}
# Those that are a value themselves.
_NEW: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": list,
    "MARK": lambda: _MARK,
}
_IGNORED = frozenset(("PROTO", "FRAME"))
_PUT = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))
_GET = frozenset(("GET", "BINGET", "LONG_BINGET"))
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read_pickle(stream: Source | IO[bytes], storages: dict[str, Storage]) -> object:
    """Reads one pickle and leaves the stream behind it.

    Args:
        stream: Read from where it stands; reading beyond its end must be cheap.
        storages: Gets every storage that a tensor may lie in, by key.

    Returns:
        Numbers, text, None, lists, tuples and dictionaries of them, and
        `StoredTensor`s.

    Raises:
        ModelError: If the pickle names anything but tensors, their storages and
            `OrderedDict`, or does what no saved state does.
        ValueError: If it is damaged; also another error of Python's for a stack that
            does not hold what an opcode needs.
    """
    stack: list[object] = []
    memo: dict[int, object] = {}
    for opcode, argument, _ in pickletools.genops(stream):  # type: ignore[arg-type]
        name = opcode.name
        if name in _IGNORED:
            continue
        if name == "STOP":
            return stack.pop()
        if name in _VALUES:
            stack.append(argument)
        elif name in _NEW:
            stack.append(_NEW[name]())
        elif name in _PUT:
            memo[_whole(argument)] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in _GET:
            stack.append(memo[_whole(argument)])
        elif name in _TUPLES:
            count = _TUPLES[name]
            stack[-count:] = [tuple(stack[-count:])]
        else:
            _apply(name, argument, stack, storages)
    raise ValueError("it ends within a pickle")


def _apply(
    name: str, argument: object, stack: list[object], storages: dict[str, Storage]
) -> None:
    """Follows an opcode that takes values off the stack."""
    if name == "TUPLE":
        stack.append(tuple(_since_mark(stack)))
    elif name == "LIST":
        stack.append(_since_mark(stack))
    elif name in ("APPENDS", "ADDITEMS"):
        items = _since_mark(stack)
        _list(stack[-1]).extend(items)
    elif name == "APPEND":
        item = stack.pop()
        _list(stack[-1]).append(item)
    elif name in ("DICT", "SETITEMS"):
        items = _since_mark(stack)
        if name == "DICT":
            stack.append({})
        _set(stack[-1], zip(items[::2], items[1::2], strict=True))
    elif name == "SETITEM":
        value, key = stack.pop(), stack.pop()
        _set(stack[-1], [(key, value)])
    elif name == "GLOBAL":
        stack.append(_named(str(argument)))
    elif name == "STACK_GLOBAL":
        attribute, module = stack.pop(), stack.pop()
        stack.append(_named(f"{module} {attribute}"))
    elif name == "REDUCE":
        arguments = stack.pop()
        stack.append(_made(stack.pop(), arguments))
    elif name == "BUILD":
        stack.pop()  # attributes of a dictionary, such as its versions: not needed
    elif name == "BINPERSID":
        stack.append(_storage(stack.pop(), storages))
    else:
        raise ModelError(f"it holds the pickle opcode `{name}`, which weights need not")


def _named(name: str) -> _Global:
    if name not in _ADMITTED:
        raise ModelError(
            f"it names `{name.replace(' ', '.')}`, and nothing but tensors is read: "
            "save the state dict alone, `torch.save(model.state_dict(), FILE)`"
        )
    return _Global(name)


def _made(called: object, arguments: object) -> object:
    """Returns what a call in the pickle stands for."""
    if not isinstance(called, _Global) or not isinstance(arguments, tuple):
        raise ValueError("it calls what is no name")
    if called.name == _ORDERED_DICT:
        made: dict[object, object] = {}
        for items in arguments[:1]:
            _set(made, (_pair(item) for item in _list(items)))
        return made
    if called.name == _PARAMETER:
        return arguments[0]
    if called.name in _PASSED_OVER:
        return None
    if called.name not in _TENSORS:
        raise ValueError(f"it calls `{called.name}`")
    storage, offset, shape, strides = arguments[:4]
    if not isinstance(storage, Storage):
        raise ValueError("it has a tensor without numbers")
    return StoredTensor(storage, _whole(offset), _wholes(shape), _wholes(strides))


def _storage(identity: object, storages: dict[str, Storage]) -> Storage:
    """Returns the storage that a persistent identity is of.

    It is ("storage", type, key, device, count), in the legacy format with a part of
    the storage (key, start, count), or None, behind.
    """
    kind, of, key, _, count, *part = _tuple(identity)
    if kind != "storage" or not isinstance(of, _Global) or not isinstance(key, str):
        raise ValueError("it holds an identity that is no storage")
    found = Storage(key, of.name.removeprefix("torch "), _whole(count))
    if found.kind not in STORAGES:
        raise ValueError(f"it has a storage of `{of.name}`")
    storages.setdefault(key, found)
    if part and part[0] is not None:
        _, start, length = _tuple(part[0])
        return Storage(key, found.kind, _whole(length), _whole(start))
    return found


def _since_mark(stack: list[object]) -> list[object]:
    place = len(stack) - 1
    while stack[place] is not _MARK:
        place -= 1
        if place < 0:
            raise ValueError("it closes what it has not opened")
    items = stack[place + 1 :]
    del stack[place:]
    return items


def _set(target: object, items: Iterable[tuple[object, object]]) -> None:
    if not isinstance(target, dict):
        raise ValueError("it puts a key into what is no dictionary")
    for key, value in items:
        if not isinstance(key, str | int):  # others may take long to hash
            raise ValueError("it has a key that is neither text nor a number")
        target[key] = value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError("it has another value where a list is due")
    return value


def _tuple(value: object) -> tuple[object, ...]:
    if not isinstance(value, tuple):
        raise ValueError("it has another value where a tuple is due")
    return value


def _pair(value: object) -> tuple[object, object]:
    one, other = value if isinstance(value, list | tuple) else ()
    return one, other


def _whole(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError("it has another value where a number >= 0 is due")
    return value


def _wholes(value: object) -> tuple[int, ...]:
    return tuple(_whole(item) for item in _tuple(value))
