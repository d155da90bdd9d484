"""The decoders of what comes from outside, over bytes of interest; and over many more in `make prove`."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from fuzz.corpus import CORPUS
from fuzz.decoders import TARGETS

SEARCH = Path(__file__).parent / "search.py"
SECONDS = int(os.environ.get("FUZZ_S", "600"))
"""How long all decoders together are searched."""


@pytest.mark.parametrize(("target", "name"), [(target, name) for target in TARGETS for name in CORPUS[target]])
def test_bytes_of_interest_are_understood_or_refused(target: str, name: str) -> None:
    TARGETS[target](CORPUS[target][name])


@pytest.mark.prove
@pytest.mark.parametrize("target", TARGETS)
async def test_no_bytes_are_found_that_a_decoder_cannot_take(target: str, tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number, data in enumerate(CORPUS[target].values()):
        (folder / str(number)).write_bytes(data)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, SEARCH, target, f"-max_total_time={SECONDS // len(TARGETS)}", "-max_len=4096", folder),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()

    assert process.returncode == 0, said.decode(errors="replace")[-4000:]
    runs = re.search(rb"Done (\d+) runs", said)
    assert runs, said[-4000:]
    assert int(runs[1]) > 1000
