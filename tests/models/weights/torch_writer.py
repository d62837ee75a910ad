"""Files as `torch.save` writes them, made byte by byte without PyTorch."""

import struct
import zipfile
from dataclasses import dataclass, field

import numpy as np

KINDS = {
    "<f4": "FloatStorage",
    "<f8": "DoubleStorage",
    "<f2": "HalfStorage",
    "<i8": "LongStorage",
    "<i4": "IntStorage",
    "|u1": "ByteStorage",
    "|b1": "BoolStorage",
}


@dataclass
class Raw:
    """Opcodes that leave one value, such as a call that no state needs."""

    opcodes: bytes


@dataclass
class View:
    """A tensor whose storage, offset, shape and strides are chosen."""

    storage: np.ndarray
    offset: int
    shape: tuple
    strides: tuple
    kind: str | None = None
    count: int | None = None


@dataclass
class Pickle:
    """Collects the opcodes of a value and the storages of its tensors."""

    legacy: bool
    storages: list = field(default_factory=list)

    def value(self, value):
        if isinstance(value, Raw):
            return value.opcodes
        if isinstance(value, np.ndarray):
            value = View(value.ravel(), 0, value.shape, contiguous(value.shape))
        if isinstance(value, View):
            return self.tensor(value)
        if value is None:
            return b"N"
        if isinstance(value, bool):
            return b"\x88" if value else b"\x89"
        if isinstance(value, int):
            if 0 <= value < 2**31:
                return b"J" + struct.pack("<i", value)
            data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            return b"\x8a" + bytes([len(data)]) + data
        if isinstance(value, float):
            return b"G" + struct.pack(">d", value)
        if isinstance(value, str):
            data = value.encode()
            return b"X" + struct.pack("<I", len(data)) + data
        if isinstance(value, tuple):
            return b"(" + b"".join(map(self.value, value)) + b"t"
        if isinstance(value, list):
            return b"](" + b"".join(map(self.value, value)) + b"e"
        items = b"".join(self.value(k) + self.value(v) for k, v in value.items())
        # PyTorch's own state dicts are OrderedDicts with an attribute of versions.
        empty = b"ccollections\nOrderedDict\n)R"
        return empty + b"(" + items + b"u}" + self.value("_metadata") + b"}sb"

    def tensor(self, view):
        kind = view.kind or KINDS[view.storage.dtype.str]
        key = str(len(self.storages))
        self.storages.append((key, view.storage))
        count = len(view.storage) if view.count is None else view.count
        part = self.value(None) if self.legacy else b""
        identity = (
            b"("
            + self.value("storage")
            + f"ctorch\n{kind}\n".encode()
            + self.value(key)
            + self.value("cuda:0")
            + self.value(count)
            + part
            + b"tQ"
        )
        shape, strides = self.value(view.shape), self.value(view.strides)
        hooks = b"ccollections\nOrderedDict\n)R"
        return (
            b"ctorch._utils\n_rebuild_tensor_v2\n("
            + identity
            + self.value(view.offset)
            + shape
            + strides
            + b"\x89"
            + hooks
            + b"tR"
        )

    def whole(self, value):
        return b"\x80\x02" + self.value(value) + b"."


def contiguous(shape):
    return tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))


def write_zip(path, value, compression=zipfile.ZIP_STORED):
    pickle = Pickle(legacy=False)
    data = pickle.whole(value)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/byteorder", "little")
        for key, storage in pickle.storages:
            archive.writestr(f"archive/data/{key}", storage.tobytes())
        archive.writestr("archive/version", "3\n")
    return path


def write_legacy(path, value):
    pickle, plain = Pickle(legacy=True), Pickle(legacy=True)
    parts = [
        plain.whole(0x1950A86A20F9469CFC6C),
        plain.whole(1001),
        plain.whole({"protocol_version": 1001, "little_endian": True}),
        pickle.whole(value),
        plain.whole([key for key, _ in pickle.storages]),
    ]
    for _, storage in pickle.storages:
        parts += [struct.pack("<q", len(storage)), storage.tobytes()]
    path.write_bytes(b"".join(parts))
    return path


WRITERS = {"zip": write_zip, "legacy": write_legacy}
