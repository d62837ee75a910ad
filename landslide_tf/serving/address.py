"""How a model on a server is named: by commands and by the client."""

from __future__ import annotations

import re
from dataclasses import dataclass

from landslide_tf.errors import RunError

SCHEMES = ("grpc", "grpcs", "http", "https")
_ADDRESS = re.compile(
    rf"(?P<scheme>{'|'.join(SCHEMES)})://(?P<host>[^/?#@\s]+)/(?P<name>[^/:?#\s]+)"
    r"(:(?P<version>[^/:?#\s]+))?(\?wire=(?P<wire>float32|uint8))?"
)


def is_address(text: str) -> bool:
    """Says whether a text names a model on a server.

    >>> from landslide_tf.serving.address import is_address
    >>> is_address("grpc://localhost:8500/fstf"), is_address("served/fstf")
    (True, False)
    """
    return text.split("://")[0] in SCHEMES


@dataclass(frozen=True)
class Address:
    """Where a model is served.

    Attributes:
        scheme: One of `SCHEMES`; those that end in s are encrypted.
        host: Name and port.
        name: The model's.
        version: Number, or else a label; None = the newest.
        wire: Type of the values that `map` sends, `float32` or `uint8`; None = as the
            image.
    """

    scheme: str
    host: str
    name: str
    version: str | None = None
    wire: str | None = None

    @classmethod
    def read(cls, text: str) -> Address:
        """Reads `SCHEME://HOST:PORT/NAME[:VERSION][?wire=TYPE]`.

        Raises:
            RunError: If it is of another form.
        """
        found = _ADDRESS.fullmatch(text)
        if found is None or (
            found["scheme"].startswith("grpc") and ":" not in found["host"]
        ):
            raise RunError(
                f"`{text}` must be grpc://HOST:PORT/NAME[:VERSION] or "
                "http://HOST:PORT/NAME[:VERSION], with ?wire=float32 or ?wire=uint8 "
                "behind it where wanted."
            )
        return cls(**found.groupdict())

    def __str__(self) -> str:
        version = "" if self.version is None else f":{self.version}"
        return f"{self.scheme}://{self.host}/{self.name}{version}"

    @property
    def is_rest(self) -> bool:
        """Whether requests are JSON."""
        return self.scheme.startswith("http")
