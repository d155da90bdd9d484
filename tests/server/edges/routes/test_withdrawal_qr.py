"""`POST /v1/withdrawals/qr`: a code in the body becomes an image, and what is no code is refused."""

import logging

import pytest
from aiohttp import ClientSession

from consentful import withdrawal_qr
from consentful_server.testing import Served

CODE = "HDSBL-47IYD-PCIDD-SIS5C-M5LPW-I"
PATH = "/v1/withdrawals/qr"


async def test_without_a_base_url_it_leads_to_where_the_request_was_sent(http: ClientSession, service: Served) -> None:
    async with http.post(PATH, json={"code": CODE}) as response:
        assert (response.status, response.content_type) == (200, "image/svg+xml")
        assert response.headers["Cache-Control"] == "no-store"
        assert await response.text() == withdrawal_qr.svg(f"{service.url}/withdraw#{CODE}")


class TestBehindAProxy:
    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return {"base_url": "https://chat.example/consentful"}

    async def test_it_leads_to_the_base_url(self, http: ClientSession) -> None:
        async with http.post(PATH, json={"code": CODE, "language": "pt-BR"}) as response:
            link = f"https://chat.example/consentful/withdraw?lang=pt-BR#{CODE}"
            assert await response.text() == withdrawal_qr.svg(link)


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({}, "code"),
        ({"code": "https://elsewhere.example"}, "code"),
        ({"code": CODE.lower()}, "code"),
        ({"code": CODE + "\n"}, "code"),
        ({"code": CODE, "language": "no language"}, "language"),
        ({"code": CODE, "format": "gif"}, "format"),
        ({"code": CODE, "link": "https://elsewhere.example"}, "link"),
    ],
)
async def test_what_is_no_code_is_not_drawn(
    http: ClientSession, caplog: pytest.LogCaptureFixture, body: dict[str, str], parameter: str
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with http.post(PATH, json=body) as response:
            problem = await response.json()

    assert (response.status, problem["code"], problem.get("parameter")) == (400, "bad_request", parameter)
    assert "elsewhere" not in str(problem) + caplog.text
