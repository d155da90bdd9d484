# pyright: basic, reportMissingImports=false
"""The design that this grew from: Flask behind gunicorn, a row in SQLite for each message, and a consent flag."""

import os
import sys
from typing import Any

from .port import option, port

_SCHEMA = """
CREATE TABLE IF NOT EXISTS data (customer_id TEXT, dialog_id TEXT, text TEXT, language TEXT, timestamp REAL);
CREATE INDEX IF NOT EXISTS data_by_dialog ON data (dialog_id);
CREATE TABLE IF NOT EXISTS consents (dialog_id TEXT PRIMARY KEY, consent INTEGER);
"""


def app() -> Any:
    """Return the application; its database is named by the environment, because gunicorn's workers read only that."""
    import sqlite3  # noqa: PLC0415
    import threading  # noqa: PLC0415
    import time  # noqa: PLC0415

    from flask import Flask, request  # noqa: PLC0415

    own = threading.local()

    def connection() -> sqlite3.Connection:
        if not hasattr(own, "db"):
            own.db = sqlite3.connect(os.environ["BENCH_DATABASE"], timeout=30, isolation_level=None)
            own.db.execute("PRAGMA journal_mode = WAL")
            own.db.execute("PRAGMA synchronous = FULL")
            own.db.executescript(_SCHEMA)
        return own.db

    application = Flask(__name__)

    @application.post("/data/<customer_id>/<dialog_id>")
    def data(customer_id: str, dialog_id: str) -> tuple[dict[str, bool], int]:
        given = request.get_json()
        row = (customer_id, dialog_id, given["text"], given["language"], time.time())
        connection().execute("INSERT INTO data VALUES (?, ?, ?, ?, ?)", row)
        return {"ok": True}, 201

    @application.post("/consents/<dialog_id>")
    def consents(dialog_id: str) -> dict[str, bool]:
        db = connection()
        if request.get_json():
            db.execute("INSERT OR REPLACE INTO consents VALUES (?, 1)", (dialog_id,))
        else:
            db.execute("DELETE FROM data WHERE dialog_id = ?", (dialog_id,))
        return {"ok": True}

    return application


if __name__ == "__main__":
    environment = os.environ | {"BENCH_DATABASE": option("database", "flask.db")}
    shape = ["--workers", "1", "--worker-class", "gthread", "--threads", "8", "--keep-alive", "75", "--backlog", "4096"]
    place = ["--bind", f"127.0.0.1:{port()}", "bench.peers.flask_design:app()"]
    os.execve(sys.executable, [sys.executable, "-m", "gunicorn", *shape, *place], environment)
