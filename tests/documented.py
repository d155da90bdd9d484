"""What tests need that run the documents: their blocks, the service in a thread of its own, a shell beside it."""

import asyncio
import os
import re
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from consentful_server import testing

ADDRESS: Final = "http://127.0.0.1:8080"
"""Where documents say that the service is."""


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


@contextmanager
def served(folder: Path, *, debug: bool = False) -> Generator[str]:
    """Run the service in a thread of its own event loop, as `make run` would; in debug mode all it does is slow."""
    with asyncio.Runner(debug=debug) as runner:
        service = testing.serve(folder=folder)
        loop = runner.get_loop()
        loop.slow_callback_duration = 0 if debug else loop.slow_callback_duration
        url = runner.run(service.__aenter__()).url
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield url
        finally:
            asyncio.run_coroutine_threadsafe(service.__aexit__(None, None, None), loop).result(30)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


def shell(command: str, folder: Path) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout
