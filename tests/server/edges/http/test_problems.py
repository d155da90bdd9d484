"""Problem documents (RFC 9457)."""

import pytest

from consentful_server.edges.http.problems import problem_document


@pytest.mark.parametrize(
    ("status", "title"),
    [(400, "Bad Request"), (413, "Content Too Large"), (422, "Unprocessable Content"), (503, "Service Unavailable")],
)
def test_a_title_is_the_name_of_the_status_in_rfc_9110_on_every_python(status: int, title: str) -> None:
    assert problem_document(status, "code", "detail").title == title
