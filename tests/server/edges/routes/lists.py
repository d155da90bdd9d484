"""Lists over REST: many dialogs to list, and rows to alter."""

from contextlib import closing
from typing import Any

from consentful_server.stores.sqlite.connection import connect
from consentful_server.testing import FakeClock, Served
from kept import keep

LISTS = ("/v1/messages", "/v1/dialogs")
ORDERS = ("newest", "stored")
MARKER = "contraband-4711"


async def keep_many(served: Served, clock: FakeClock, count: int, *, customer_id: str = "c-1") -> list[str]:
    """Store dialogs `d-0`, `d-1` … of two messages each, a second apart; return the texts, oldest first."""
    said: list[str] = []
    for number in range(count):
        clock.advance(1)
        both = [f"{number} a", f"{number} b"]
        await keep(served.service, f"d-{number}", both, customer_id=customer_id)
        said += both
    return said


def key_of(item: dict[str, Any]) -> str:
    return item.get("text", item["dialog_id"])


def alter(service: Served, sql: str) -> None:
    with closing(connect(service.service.settings.data_dir / "consentful.db")) as db:
        db.execute(sql)
