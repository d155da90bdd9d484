"""Requests of the original contract."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import ClientSession

from kept import bearer

JSON = "application/json"
PROOF = {"receipt", "withdrawalCode", "withdrawUrl", "withdrawLink"}
NAMES = ("consent", "consents", "is_accepted", "accepted", "value", "has_given_consent", "granted")
FORM = "application/x-www-form-urlencoded"


async def post(
    http: ClientSession, path: str, body: bytes | str, content_type: str | None = JSON, *, token: str | None = None
) -> tuple[int, Any]:
    headers = bearer(token) | ({"Content-Type": content_type} if content_type else {})
    data = body.encode() if isinstance(body, str) else body
    async with http.post(
        path, data=data, headers=headers, allow_redirects=False, skip_auto_headers=["Content-Type"]
    ) as response:
        return response.status, await response.json()


async def push(http: ClientSession, text: str = "Hi", path: str = "/data/c-1/d-1", **fields: str) -> None:
    status, answer = await post(http, path, json.dumps({"text": text} | fields))
    assert status == 201, answer


async def decide(http: ClientSession, decision: bool, dialog_id: str = "d-1") -> tuple[int, Any]:
    return brief(await post(http, f"/consents/{dialog_id}", json.dumps(decision)))


def brief(said: tuple[int, Any]) -> tuple[int, Any]:
    """Return it without the receipt and the code, which are never the same."""
    status, answer = said
    return status, {name: value for name, value in answer.items() if name not in PROOF}


async def walked(http: ClientSession, url: str, meanwhile: Callable[[int], Awaitable[None]] | None = None) -> list[str]:
    """Return the texts of all pages, following the links."""
    found: list[str] = []
    for page in range(20):
        async with http.get(url) as response:
            assert response.status == 200
            found += [datum["text"] for datum in await response.json()]
            if "next" not in response.links:
                return found
            url = str(response.links["next"]["url"])
        if meanwhile is not None:
            await meanwhile(page)
    raise AssertionError("the links do not end")
