"""What an answer is written in: which media type, and which content coding, for which headers."""

import time
from collections.abc import Sequence

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from consentful_server.edges.http.list_query import StreamQuery
from consentful_server.edges.http.negotiation import coding_of, format_of
from consentful_server.errors import BadRequest, NotAcceptable

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
JSON, NDJSON, CSV = "application/json", "application/x-ndjson", "text/csv"
PARQUET, ARROW = "application/vnd.apache.parquet", "application/vnd.apache.arrow.stream"


def asked(header: str, *lines: str) -> CIMultiDict[str]:
    return CIMultiDict((header, line) for line in lines)


def form(*accept: str, name: str | None = None) -> str:
    request = make_mocked_request("GET", "/v1/messages", headers=asked("Accept", *accept))
    return format_of(request, StreamQuery(format=name)) or "json"


def coding(*accept_encoding: str) -> str:
    return coding_of(make_mocked_request("GET", "/", headers=asked("Accept-Encoding", *accept_encoding))) or "identity"


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        # Nothing said, or anything will do: pages of JSON.
        ([], "json"),
        ([""], "json"),
        ([" , ,"], "json"),
        (["*/*"], "json"),
        (["*"], "json"),
        (["application/*"], "json"),
        ([BROWSER], "json"),
        ([JAVA], "json"),
        # One is named, in any case, with parameters or without.
        ([JSON], "json"),
        (["Application/JSON; charset=utf-8"], "json"),
        (['application/json; charset="utf-8"; q=1'], "json"),
        ([NDJSON], "ndjson"),
        ([CSV], "csv"),
        (["text/csv; header=present"], "csv"),
        (["TEXT/*"], "csv"),
        ([PARQUET], "parquet"),
        ([ARROW], "arrow"),
        # The greatest weight, wherever it stands; of equal ones the one that we prefer.
        ([f"{NDJSON};q=0.5, {CSV};q=0.7"], "csv"),
        ([f"{CSV};q=0.7, {NDJSON};q=0.5"], "csv"),
        ([f"{CSV} ; Q=0.7 , {NDJSON};q=.8"], "ndjson"),
        ([f"{CSV};q=0.123, {NDJSON};q=0.124"], "ndjson"),
        ([f"{ARROW}, {CSV}, {NDJSON}"], "ndjson"),
        ([CSV, NDJSON], "ndjson"),
        ([f"{CSV};q=0.3", f"{NDJSON};q=0.2"], "csv"),
        (["*/*;q=0.5, text/csv"], "csv"),
        (["text/html, */*;q=0.1"], "json"),
        # 0 excludes, and what is specific comes before what is general (§12.5.1).
        ([f"{JSON};q=0, */*"], "ndjson"),
        ([f"{NDJSON};q=0, */*;q=0.1"], "json"),
        ([f"application/*;q=0, */*, {JSON};q=0.000"], "csv"),
        ([f"text/*;q=0.9, text/csv;q=0, {JSON};q=0.1"], "json"),
        (["text/csv;q=0, text/*;q=0.9, application/*;q=0.2"], "json"),
        ([f"*/*;q=0.9, {JSON};q=0.1, {NDJSON};q=0.2"], "csv"),
        (["application/*;q=0.2, text/*;q=0.1"], "json"),
        # What is no media range is passed over.
        (["json, text/csv"], "csv"),
        (["a/b/c, text/csv"], "csv"),
    ],
)
def test_the_format_is_the_one_that_the_client_likes_best(accept: Sequence[str], given: str) -> None:
    assert form(*accept) == given


@pytest.mark.parametrize(
    "accept",
    ["text/html", "image/*", "application/xml", f"{JSON};q=0", "text/*;q=0.9, text/csv;q=0", "*/*;q=0", "json"],
)
def test_what_is_not_offered_is_refused_with_what_is(accept: str) -> None:
    with pytest.raises(NotAcceptable) as refused:
        form(accept)

    assert all(media in str(refused.value) for media in (JSON, NDJSON, CSV, PARQUET, ARROW))


@pytest.mark.parametrize("weight", ["", "x", "high", "1.1", "-1", "-0.1", "nan", "inf", "0.5.5", '"1"x'])
def test_a_malformed_weight_is_refused_and_names_the_header(weight: str) -> None:
    with pytest.raises(BadRequest, match=r"Accept: .*q=0\.5"):
        form(f"{CSV}, {JSON};q={weight}")
    with pytest.raises(BadRequest, match=r"Accept-Encoding: .*q=0\.5"):
        coding(f"gzip;q={weight}")


@pytest.mark.parametrize("accept", [f"{CSV}, {NDJSON}", f"{JSON};q=0", "text/html", f"{JSON};q=x", "a" * 9000])
def test_the_url_comes_before_the_header(accept: str) -> None:
    assert [form(accept, name=name) for name in ("json", "csv", "parquet")] == ["json", "csv", "parquet"]
    with pytest.raises(NotAcceptable):
        form(accept, name="xml")


@pytest.mark.parametrize(
    ("accepted", "given"),
    [
        ([], "identity"),
        ([""], "identity"),
        (["identity"], "identity"),
        (["br, deflate"], "identity"),
        (["*"], "identity"),
        (["gzip"], "gzip"),
        (["GZIP"], "gzip"),
        (["gzip, deflate, br"], "gzip"),
        (["zstd"], "zstd"),
        (["gzip, zstd"], "zstd"),
        (["gzip", "zstd"], "zstd"),
        (["gzip;q=1.0, zstd;q=0.5"], "gzip"),
        (["zstd;q=0, gzip"], "gzip"),
        (["zstd;q=0, gzip; q=0.000"], "identity"),
        (["identity;q=0.5, gzip;q=0.4"], "identity"),
        (["identity;q=0.5, gzip;q=0.5"], "gzip"),
        (["identity, gzip;q=0.5, zstd"], "zstd"),
        (["identity;q=0, gzip;q=0.1"], "gzip"),
        (["identity;q=0"], "identity"),
        (["*;q=0, gzip"], "gzip"),
    ],
)
def test_the_coding_is_the_one_that_the_client_likes_best(accepted: Sequence[str], given: str) -> None:
    assert coding(*accepted) == given


@pytest.mark.parametrize("header", ['a/b;"' + ";" * 8_000, "*/*," * 2_000, 'a/b;"' + ";a" * 4_000])
def test_a_header_that_would_take_long_to_read_is_refused_before(header: str) -> None:
    began = time.thread_time()
    with pytest.raises(BadRequest, match="Accept: must have at most 2,048 characters"):
        form(header)

    form(header[:2_000] + ", */*")
    assert time.thread_time() - began < 0.1


@pytest.mark.parametrize("name", ["parquet", "arrow", "excel"])
def test_without_pyarrow_a_406_names_the_extra(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(NotAcceptable) as whole:
        form(name="excel")
    monkeypatch.setattr("consentful_server.exports.formats.has_columns", lambda: False)

    with pytest.raises(NotAcceptable, match=r"pip install 'consentful\[server,data\]'"):
        form(name=name)
    with pytest.raises(NotAcceptable, match=r"pip install 'consentful\[server,data\]'"):
        form(PARQUET)
    assert "pip" not in str(whole.value), "where all formats are available, nothing is missing"
