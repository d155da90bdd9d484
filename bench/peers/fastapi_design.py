# pyright: basic, reportMissingImports=false
"""FastAPI with aiosqlite: a row for each message, and a consent flag."""

import time
from collections.abc import AsyncGenerator
from typing import Any

from .port import option, port

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS data (customer_id TEXT, dialog_id TEXT, text TEXT, language TEXT, timestamp REAL);
CREATE INDEX IF NOT EXISTS data_by_dialog ON data (dialog_id);
CREATE TABLE IF NOT EXISTS consents (dialog_id TEXT PRIMARY KEY, consent INTEGER);
"""


def app() -> Any:
    from contextlib import asynccontextmanager  # noqa: PLC0415

    import aiosqlite  # noqa: PLC0415
    from fastapi import Body, FastAPI  # noqa: PLC0415
    from pydantic import BaseModel  # noqa: PLC0415

    class Said(BaseModel):
        text: str
        language: str

    @asynccontextmanager
    async def lifespan(application: Any) -> AsyncGenerator[None]:
        async with aiosqlite.connect(option("database", "fastapi.db"), isolation_level=None) as db:
            await db.executescript(_SCHEMA)
            application.state.db = db
            yield

    application = FastAPI(lifespan=lifespan)

    async def data(customer_id: str, dialog_id: str, said: Said) -> dict[str, bool]:
        row = (customer_id, dialog_id, said.text, said.language, time.time())
        await application.state.db.execute("INSERT INTO data VALUES (?, ?, ?, ?, ?)", row)
        return {"ok": True}

    async def consents(dialog_id: str, granted: bool = Body()) -> dict[str, bool]:
        db = application.state.db
        if granted:
            await db.execute("INSERT OR REPLACE INTO consents VALUES (?, 1)", (dialog_id,))
        else:
            await db.execute("DELETE FROM data WHERE dialog_id = ?", (dialog_id,))
        return {"ok": True}

    application.post("/data/{customer_id}/{dialog_id}", status_code=201)(data)
    application.post("/consents/{dialog_id}")(consents)
    return application


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app(), host="127.0.0.1", port=port(), log_level="warning", access_log=False)
