"""A random order of dialogs, as an expression that every kind of SQL computes alike. Pure.

    lot(x) = ((x + k1)³ + k2)³ mod p        p prime, p mod 3 = 2, below 2**31; k1 and k2 from the seed

Cubing is a permutation of the numbers below such a prime, and no product exceeds 63 bits, beyond which one kind of
store makes a float of it. Hashes with exclusive or would need an operator that the same kind lacks.

The dialogs in the order of their lots are a shuffled list: the first N that match a filter are a sample in which each
is as likely as any other. The same seed gives the same order on every kind of store, and dialogs that are stored or
erased meanwhile do not move the others. It is no secret: whoever knows the seed can compute it.
"""

import hashlib
from typing import Final

_PRIME: Final = 2_147_483_579


def lot(number: str, seed: int) -> str:
    """Return the lot of the dialog whose number is this expression."""
    keys = hashlib.blake2b(seed.to_bytes(8, "big"), digest_size=16).digest()
    first, second = (int.from_bytes(half, "big") % _PRIME for half in (keys[:8], keys[8:]))
    return _cube(f"({_cube(f'(({number} + {first}) % {_PRIME})')} + {second}) % {_PRIME}")


def _cube(x: str) -> str:
    return f"(({x}) * ({x}) % {_PRIME} * ({x}) % {_PRIME})"
