"""What every store promises of notices: once added they are never changed."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest

from consentful_server.clock import to_micros
from consentful_server.consent.notices import Wording
from consentful_server.errors import Conflict
from consentful_server.stores.store import Store
from consentful_server.testing import FakeClock
from sealed import CATALOGUE, START


async def test_names_of_purposes_are_kept_with_their_notice_and_are_not_added_later(store: Store) -> None:
    unnamed, named = (msgspec.structs.replace(CATALOGUE.wordings[0], id=it) for it in ("plain", "named"))
    names = tuple(f"Purpose {purpose}" for purpose in named.purposes)
    named = msgspec.structs.replace(named, purpose_names=names)
    await store.notices.add([unnamed])
    await store.notices.add([named])

    with pytest.raises(Conflict):
        await store.notices.add([msgspec.structs.replace(unnamed, purpose_names=names)])

    kept = {wording.id: wording.purpose_names for wording in await store.notices.all()}
    assert kept == {"plain": (), "named": names}


async def test_a_notice_is_added_once_never_changed_and_kept_when_it_is_retired(store: Store, clock: FakeClock) -> None:
    wordings: Sequence[Wording] = CATALOGUE.wordings
    await store.notices.add(wordings)
    clock.advance(60)
    await store.notices.add(wordings)
    other = [msgspec.structs.replace(wording, text="Other words") for wording in wordings]

    with pytest.raises(Conflict):
        await store.notices.add(other)

    added = to_micros(START + timedelta(days=1))
    assert await store.notices.all() == [msgspec.structs.replace(wording, added_at=added) for wording in wordings]
    assert await store.notices.retire("n-1")
    clock.advance(60)
    assert await store.notices.retire("n-1")
    assert not await store.notices.retire("n-9")
    assert [wording.retired_at for wording in await store.notices.all()] == [added + 60_000_000]
