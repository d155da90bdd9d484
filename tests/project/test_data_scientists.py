"""The page for data scientists is run, from the first line to the last, as one session."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import duckdb

from consentful import sync
from documented import ADDRESS, blocks, served, shell

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "data-scientists.md").read_text("utf-8")


def fill(url: str) -> None:
    with sync.open_dialog(url, customer_id="c-42", language="en", bot="shop") as dialog:
        dialog.say("Where is my parcel?")
        dialog.say("It arrives tomorrow.", role="bot")
        dialog.grant()


def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    program = "\n".join(blocks(PAGE, "python"))
    with served(tmp_path) as url:
        fill(url)
        (exporting,) = re.findall(r"`(consentful export kept.ndjson)`", PAGE)
        shell(f"{exporting} --url {url}", tmp_path)
        said = subprocess.run(
            [sys.executable, "-W", "error", "-c", program.replace(ADDRESS, url)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert said.returncode == 0, said.stderr
        assert "bot         1\ncustomer    1" in said.stdout
        assert "2 messages added, 0 deleted" in said.stdout

        _, fetching = blocks(PAGE, "console")
        shell(fetching.replace(ADDRESS, url), tmp_path)
        assert duckdb.connect().execute(f"SELECT count(*) FROM '{tmp_path}/kept.parquet'").fetchall() == [(2,)]
        ((chat,),) = duckdb.connect().execute(f"SELECT messages FROM '{tmp_path}/chats.parquet'").fetchall()
        assert [line["role"] for line in chat] == ["user", "assistant"]
        (counting,) = re.findall(r"`(curl [^`]*stats[^`]*)`", PAGE)
        assert '"messages":2' in shell(counting.replace(ADDRESS, url), tmp_path)


def test_what_it_installs_is_what_is_needed() -> None:
    named = set(re.findall(r"pip install (?:'\.\[data\]' )?(\w+)", PAGE))

    assert named == {"pandas", "polars", "datasets", "duckdb"}
    assert all(find_spec(name) for name in named)
