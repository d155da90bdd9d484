"""The waiting room of the application, for the routes that push and decide."""

from typing import Final

from aiohttp import web

from ....dialogs.waiting_room import WaitingRoom
from ....errors import Unsupported
from ...http.pipeline import SERVICE

ROOM: Final = web.AppKey("waiting room", WaitingRoom)


def room_of(request: web.Request) -> WaitingRoom:
    """Return the waiting room, which later requests of the dialog reach as well.

    Raises:
        Unsupported: If the server has several workers: the next request may reach another process.
    """
    if request.app[SERVICE].settings.workers > 1:
        raise Unsupported("the original HTTP contract requires one process; start the server with --workers 1")
    return request.app[ROOM]
