"""Where a request comes from: a trusted proxy may say so, and nobody else."""

import ipaddress

import pytest
from aiohttp import ClientSession

from consentful_server.edges.http.addresses import past_proxies
from consentful_server.errors import BadSetting
from consentful_server.settings import Settings

TRUSTED = tuple(ipaddress.ip_network(network) for network in ("127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"))


@pytest.mark.parametrize(
    ("peer", "named", "address"),
    [
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("192.0.2.9", "192.0.2.1", "192.0.2.9"),  # no proxy of ours
        ("127.0.0.1", "198.51.100.1, 192.0.2.1", "192.0.2.1"),  # the client forged what is left
        ("127.0.0.1", "192.0.2.1, 10.1.2.3", "192.0.2.1"),
        ("127.0.0.1", "127.0.0.1, 192.0.2.1, 10.1.2.3, 10.1.2.4", "192.0.2.1"),
        ("10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2"),  # a client inside
        ("127.0.0.1", "192.0.2.1:4711", "192.0.2.1"),
        ("127.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("127.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("2001:db8:1::9", "2001:DB8:0::7", "2001:db8::7"),
        ("::ffff:127.0.0.1", "::ffff:192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", "192.0.2.1, unknown", "127.0.0.1"),
        ("127.0.0.1", "192.0.2.1, ", "127.0.0.1"),
        ("127.0.0.1", "192.0.2.1 , 10.0.0.1%eth0", "192.0.2.1"),
        ("fe80::1%eth0", "192.0.2.1", "fe80::1%eth0"),
        (None, "192.0.2.1", None),
    ],
)
def test_the_address_is_the_first_from_the_right_that_is_no_proxys(
    peer: str | None, named: str, address: str | None
) -> None:
    assert past_proxies(peer, named.split(","), TRUSTED) == address


@pytest.mark.parametrize("network", ["proxy", "10.0.0.1/8", "10.0.0.0/33", "*", "", "0.0.0.0/0", "::/0"])
def test_what_is_no_network_or_is_everybody_is_refused(network: str) -> None:
    with pytest.raises(BadSetting, match="trusted_proxy"):
        Settings(trusted_proxy=(network,))


class TestWithdrawing:
    async def tried(self, http: ClientSession, *forwarded: str) -> int:
        headers = [("X-Forwarded-For", address) for address in forwarded]
        async with http.post("/v1/withdrawals", json={"code": "AAAAA-AAAAA"}, headers=headers) as response:
            return response.status

    async def use_up(self, http: ClientSession, forwarded: str) -> None:
        for number in range(60):
            assert await self.tried(http, f"198.51.100.{number}, {forwarded}") == 404

    @pytest.mark.parametrize("settings", [{"trusted_proxy": ("127.0.0.1",)}])
    async def test_behind_a_trusted_proxy_each_client_has_its_own_share(self, http: ClientSession) -> None:
        await self.use_up(http, "192.0.2.1")

        assert await self.tried(http, "192.0.2.1") == 429
        assert await self.tried(http, "192.0.2.2") == 404
        assert await self.tried(http, "192.0.2.2", "192.0.2.1") == 429  # two headers are one list (RFC 9110 §5.3)

    async def test_nobody_else_is_believed(self, http: ClientSession) -> None:
        await self.use_up(http, "192.0.2.1")

        assert await self.tried(http, "192.0.2.2") == 429
