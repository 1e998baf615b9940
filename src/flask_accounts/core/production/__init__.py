"""What production asks of the core's part of an app: keys, tokens, cookies, serving, database, mail, hashes, upkeep."""

from __future__ import annotations

from ..checkups import Checkup
from . import cookies, database, guessing, keys, lifetimes, mail, serving, upkeep


def _of(module: object) -> list[Checkup]:
    return [value for value in vars(module).values() if isinstance(value, Checkup)]


CORE_CHECKUPS: tuple[Checkup, ...] = tuple(
    each for module in (serving, keys, lifetimes, cookies, database, mail, guessing, upkeep) for each in _of(module)
)
