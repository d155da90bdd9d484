"""The signing keys: one signs, and what those before it signed can still be verified."""

import base64
import json
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from consentful_server.errors import BadKeys
from consentful_server.keys import signing
from consentful_server.keys.deployment import replace_signing_key
from consentful_server.keys.jwks import BadReceipt
from consentful_server.keys.signing import Signer
from consentful_server.operations.housekeeping import Housekeeping
from consentful_server.operations.verify import check_receipt
from consentful_server.service import Service, open_service
from consentful_server.settings import Settings
from receipts import header_of, verified


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    signing.create(tmp_path)
    return tmp_path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")


@pytest.fixture
async def service(settings: Settings) -> AsyncGenerator[Service]:
    async with open_service(settings) as opened:
        yield opened


_X25519 = '{"kty": "OKP", "crv": "X25519", "x": "R9HoovrQoCSZKhi6dwYRS5mmu-L6U9Yw7ya8ksYoD3A"}'


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_receipt_is_verified_with_the_published_key_alone(folder: Path) -> None:
    signer = Signer(signing.load(folder))

    receipt = signer.sign({"sub": "cus_x"})

    assert verified(receipt, signer.jwk) == {"sub": "cus_x"}
    assert header_of(receipt) == {"alg": "EdDSA", "kid": signer.jwk["kid"], "typ": "consent-receipt+jwt"}
    assert not any("d" in jwk for jwk in signer.jwks)


def test_a_token_that_is_signed_while_the_key_is_replaced_names_the_key_that_signed_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = Signer(signing.load(folder))
    signed: list[str] = []

    def key_set(keys: list[Any]) -> KeySet:
        signed.append(signer.sign({"sub": "cus_x"}))  # as the writer's thread may, between two lines of `renew`
        return KeySet(keys)

    monkeypatch.setattr(signing, "KeySet", key_set)
    signer.renew(signing.replace(folder))

    assert [verified(token, *signer.jwks) for token in signed] == [{"sub": "cus_x"}]


_OLD_KEY = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": "R9HoovrQoCSZKhi6dwYRS5mmu-L6U9Yw7ya8ksYoD3A",
    "kid": "g4JAZqT5_jC6sEd2E9smeAXmmLBnOcIleGtxvBzpu4s",
    "use": "sig",
    "alg": "EdDSA",
}
_OLD_RECEIPT = (
    "eyJhbGciOiJFZERTQSIsImtpZCI6Imc0SkFacVQ1X2pDNnNFZDJFOXNtZUFYbW1MQm5PY0lsZUd0eHZCenB1NHMiLCJ0eXAiOiJjb25zZW50LXJl"
    "Y2VpcHQrand0In0.eyJpc3MiOiJjb25zZW50ZnVsIiwiaWF0IjoxNzg1NTQyNDAwLCJqdGkiOiJkLTEiLCJzdWIiOiJjdXNfeCIsInB1cnBvc2Vz"
    "IjpbImltcHJvdmUtY2hhdGJvdCJdLCJsYW5ndWFnZSI6InB0LUJSIiwiY29udGVudF9obWFjX3NoYTI1NiI6IjAwMDAwMDAwMDAwMDAwMDAwMDAw"
    "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAifQ.8z4Qki3a1P8vQSUVRjz44NgrHBTRcMDbNZJQonDVmvmZk8ky4"
    "ZwToVpOGFZhDTcO-qxWPWovCbN--6LoEcSdBg"
)
"""Signed by version 0.1.0, with PyJWT."""


def test_a_receipt_of_an_earlier_version_is_still_verified(folder: Path) -> None:
    signing.replace(folder)
    (folder / "signing.jwk").write_text(json.dumps(_OLD_KEY))
    signing.retire(folder)
    signer = Signer(signing.load(folder))

    claims = signer.verified(_OLD_RECEIPT)

    assert signer.jwks[1:] == (_OLD_KEY,)
    assert claims == {
        "iss": "consentful",
        "iat": 1785542400,
        "jti": "d-1",
        "sub": "cus_x",
        "purposes": ["improve-chatbot"],
        "language": "pt-BR",
        "content_hmac_sha256": "00" * 32,
    }


def test_a_report_may_be_longer_than_any_receipt(folder: Path) -> None:
    signer = Signer(signing.load(folder))
    dialogs = [f"{number:036}" for number in range(20_000)]

    assert signer.verified(signer.sign({"dialogs": dialogs})) == {"dialogs": dialogs}


@pytest.mark.parametrize("header", ["[]", "7", '"alg"', '["alg", "b64"]', "[" * 100_000, '{"alg": "HS256"}', "{}"])
def test_a_malformed_receipt_is_refused(folder: Path, header: str) -> None:
    token = ".".join([base64.urlsafe_b64encode(header.encode()).decode().rstrip("=")] * 3)

    with pytest.raises(JoseError):
        Signer(signing.load(folder)).verified(token)


def test_what_earlier_keys_signed_is_verified_and_their_private_halves_are_gone(folder: Path) -> None:
    signer = Signer(signing.load(folder))
    receipts: list[str] = []
    for _ in range(3):
        receipts.append(signer.sign({"sub": "cus_x"}))
        signer.renew(signing.replace(folder))
        signing.retire(folder)

    assert [signer.verified(receipt) for receipt in receipts] == [{"sub": "cus_x"}] * 3
    assert [jwk["kid"] for jwk in signer.jwks] == [
        signer.jwk["kid"],
        *(header_of(receipt)["kid"] for receipt in reversed(receipts)),
    ]
    assert names(folder) == {"signing.jwk", "signing-0002.jwk", "signing-0003.jwk", "signing-0004.pem"}


def test_a_replacement_that_broke_off_leaves_a_key_and_is_done_again(folder: Path) -> None:
    before = Signer(signing.load(folder))
    signing.replace(folder)
    (folder / "signing-0002.pem").unlink()  # as if it had not come to the second file

    assert Signer(signing.load(folder)).jwk == before.jwk
    assert signing.replace(folder).number == 2
    assert (folder / "signing.pem").exists()  # as if it had not come to the end

    signing.retire(folder)
    assert names(folder) == {"signing.jwk", "signing-0002.pem"}
    assert signing.is_retired(folder / "signing.pem")
    assert not signing.is_retired(folder / "signing-0002.pem")


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"kty": "OKP", "crv": "Ed25519"}', '{"kty": "oct", "k": "AAAA"}', _X25519]
)
def test_a_malformed_public_half_is_refused(folder: Path, content: str) -> None:
    signing.replace(folder)
    (folder / "signing.jwk").write_text(content)

    with pytest.raises(BadKeys, match=r"signing\.jwk"):
        signing.load(folder)


async def replace_key(service: Service) -> None:
    await replace_signing_key(service.store.facts, service.settings.keys_dir, service.deployment, service.signer)


async def test_a_running_service_takes_up_a_key_that_another_process_made(settings: Settings, service: Service) -> None:
    earlier = service.signer.sign({"jti": "d-1", "content_hmac_sha256": "00"})
    async with open_service(settings) as other:
        await replace_key(other)
        later = other.signer.sign({"jti": "d-1", "content_hmac_sha256": "00"})
        assert (await check_receipt(earlier, other)).content == "not here"
    with pytest.raises(BadReceipt):
        await check_receipt(later, service)

    await Housekeeping(service).refresh()

    assert (await check_receipt(later, service)).content == "not here"
    assert service.signer.sign({"x": 1}) == other.signer.sign({"x": 1})


async def test_a_folder_of_before_a_replacement_does_not_fit_the_database_any_more(
    settings: Settings, service: Service, tmp_path: Path
) -> None:
    shutil.copytree(settings.keys_dir, tmp_path / "before")
    await replace_key(service)

    with pytest.raises(BadKeys, match="signing-0002"):
        async with open_service(Settings(data_dir=settings.data_dir, keys_dir=tmp_path / "before")):
            pass


async def test_a_signing_key_of_another_deployment_is_refused(settings: Settings, service: Service) -> None:
    await replace_key(service)
    path = settings.keys_dir / "signing-0002.pem"
    path.unlink()
    signing.create(settings.data_dir)
    shutil.copy(settings.data_dir / "signing.pem", path)

    with pytest.raises(BadKeys, match="signing-0002"):
        async with open_service(settings):
            pass
