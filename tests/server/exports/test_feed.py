"""The feed of erasures: what is told of a dialog that is read and erased while a page of the feed is made."""

import pytest

from consentful_server.access_log.chain import Actor
from consentful_server.archive.query import Filter
from consentful_server.auth.read_scope import ReadScope
from consentful_server.exports.store import ErasedDialog
from consentful_server.testing import Served
from kept import keep


async def test_a_page_tells_every_reading_that_came_before_the_erasure(
    service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = service.service
    await keep(parts, "d-1")
    ann = ReadScope(by=Actor("ann"))
    real = parts.store.exports.erased

    async def erased(after: int, limit: int) -> list[ErasedDialog]:
        """Read and erase the dialog just before the feed looks."""
        await parts.pages.messages(Filter(), ann, order="newest", limit=10, view=list)
        await parts.archive.erase("d-1", "requested")
        return await real(after, limit)

    monkeypatch.setattr(parts.store.exports, "erased", erased)
    page = await parts.feed.read(0, 10, ann, of_everyone=False)

    assert [(erasure.dialog_id, erasure.read) for erasure in page.items] == [("d-1", True)]
