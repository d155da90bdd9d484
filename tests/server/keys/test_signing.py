"""The signing keys: one signs, and what those before it signed can still be verified."""

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import jwt
import pytest

from consentful_server.errors import BadKeys
from consentful_server.keys import signing
from consentful_server.keys.deployment import replace_signing_key
from consentful_server.keys.signing import Signer
from consentful_server.operations.housekeeping import Housekeeping
from consentful_server.operations.verify import BadReceipt, check_receipt
from consentful_server.service import Service, open_service
from consentful_server.settings import Settings


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


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_receipt_is_verified_with_the_published_key_alone(folder: Path) -> None:
    signer = Signer(signing.load(folder))

    receipt = signer.sign({"sub": "cus_x"})

    key = jwt.PyJWK(signer.jwk)
    assert jwt.decode(receipt, key, algorithms=["EdDSA"]) == {"sub": "cus_x"}
    assert jwt.get_unverified_header(receipt)["kid"] == signer.jwk["kid"]
    assert not any("d" in jwk for jwk in signer.jwks)


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
        *(jwt.get_unverified_header(receipt)["kid"] for receipt in reversed(receipts)),
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


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"kty": "OKP", "crv": "Ed25519"}', '{"kty": "oct", "k": "AAAA"}'])
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
