"""What the environment of every function has in common: it is read once, into one frozen class a function."""

from collections.abc import Mapping
from typing import Self

import msgspec

from signalbox.errors import InvariantError


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="upper"):
    """Field ``ledger_table`` is variable ``LEDGER_TABLE``, and so on."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Reads and converts.

        Raises:
            InvariantError: a variable is missing or makes no sense; names it.
        """
        try:
            return msgspec.convert(dict(environment), cls, strict=False)
        except msgspec.ValidationError as error:
            raise InvariantError(f"environment of {cls.__name__}: {error}") from error
