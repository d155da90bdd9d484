"""The table of threats is whole, and each of them is a test."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
THREATS = {
    "CSV formula",
    "HTTP parser abuse",
    "JWKS server-side request forgery",
    "SQL injection",
    "`alg=none` and key confusion",
    "cross-site WebSocket hijacking",
    "deflate bomb",
    "forged consent",
    "huge dialogs",
    "id enumeration",
    "idle flood",
    "log injection",
    "metrics leak",
    "missing `exp`",
    "path traversal in static files",
    "ping flood",
    "replayed consent",
    "request smuggling behind nginx",
    "script injection in the pages",
    "slow-loris",
    "timing",
    "token in URL",
}


def rows() -> dict[str, str]:
    """Return the tests of each threat, as the page names them."""
    found: dict[str, str] = {}
    for line in (ROOT / "docs" / "threats.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0] not in ("threat", "---"):
            assert cells[0] not in found, cells[0]
            found[cells[0]] = cells[2]
    return found


def test_every_threat_that_was_thought_of_is_there_with_its_tests() -> None:
    threats = rows()

    assert set(threats) >= THREATS
    assert all(re.search(r"`tests/[\w/]+\.py", tests) for tests in threats.values())


@pytest.mark.parametrize("page", ["SECURITY.md", "CONTRIBUTING.md"])
def test_every_link_leads_somewhere(page: str) -> None:
    targets = re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text("utf-8"))

    assert targets
    assert [target for target in targets if not target.startswith("http") and not (ROOT / target).exists()] == []
