import base64

from hypothesis import given
from hypothesis import strategies as st

from consentful_server.keys.base32 import base32


@given(st.binary(min_size=16, max_size=16))
def test_it_is_what_the_standard_library_makes(data: bytes) -> None:
    assert base32(data) == base64.b32encode(data).decode().rstrip("=")
