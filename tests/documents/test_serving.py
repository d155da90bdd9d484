"""How the documents and their pages are served: to anybody, under the policy of every page, and nothing else."""

import pytest
from aiohttp import ClientSession

from consentful_server.edges.http.protection import CONTENT_SECURITY_POLICY
from consentful_server.testing import serve


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/openapi.json", "application/json"),
        ("/asyncapi.json", "application/json"),
        ("/docs", "text/html"),
        ("/docs/live", "text/html"),
        ("/explore", "text/html"),
    ],
)
async def test_anybody_may_read_under_the_policy_of_every_page(path: str, content_type: str) -> None:
    async with serve(auth="keys") as service, ClientSession(service.url) as http:
        async with http.get(path) as response:
            assert (response.status, response.content_type) == (200, content_type)
            assert response.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
            assert response.headers["Cache-Control"] == "no-cache"
        async with http.head(path) as response:
            assert response.status == 200
