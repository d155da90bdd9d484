"""`POST /data/{customerId}/{dialogId}`: one message of a dialog, held in memory until the dialog is decided."""

from typing import Annotated, Any, Final, cast

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from consentful import wire

from .... import errors
from ....dialogs.pushed import AnyLanguage, Said
from ....dialogs.waiting_room import WaitingRoom
from ....errors import BadRequest, Refusal, TooOften
from ....limits.clients import by_address, by_credential
from ...http import bodies, tags
from ...http.parameters import convert, of_path
from ...http.pipeline import PRINCIPAL, SERVICE, client_address, json
from ...http.problems import HTTP_PROBLEMS
from ...http.route import Answer, Route
from .room import room_of


class Pushed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message of a dialog."""

    text: Annotated[str, Meta(min_length=1)]
    language: AnyLanguage | None = None
    role: wire.Role = "customer"
    sentAt: wire.Instant | None = None  # noqa: N815 - the original contract is in camel case
    bot: wire.Bot | None = None

    def __repr__(self) -> str:
        return f"Pushed(text=<{len(self.text)} characters>)"

    def said(self) -> Said:
        """Return the message as the waiting room takes it.

        Raises:
            BadRequest: If `sentAt` is not a time in every time zone.
        """
        if self.sentAt is not None and not wire.is_storable(self.sentAt):
            raise BadRequest("sentAt", "must be a time in the years 2 to 9998")
        return Said(self.text, self.language, self.role, self.sentAt, self.bot)


class PushedForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message of a dialog, as a form. A form has no null."""

    text: Annotated[str, Meta(min_length=1)]
    language: AnyLanguage | UnsetType = UNSET
    role: wire.Role = "customer"
    sentAt: wire.Instant | UnsetType = UNSET  # noqa: N815 - as in `Pushed`
    bot: wire.Bot | UnsetType = UNSET

    def __repr__(self) -> str:
        return "PushedForm(…)"


class Held(msgspec.Struct, frozen=True, rename="camel"):
    """The message is held in memory until the dialog is decided. `messages` is how many are held now."""

    dialog_id: str
    messages: int


class _Path(msgspec.Struct, frozen=True):
    customerId: wire.CustomerId  # noqa: N815
    dialogId: wire.DialogId  # noqa: N815


async def push(request: web.Request) -> web.StreamResponse:
    """Add one message to a dialog. It is held in memory until the dialog is decided."""
    room, path = room_of(request), convert(of_path(request), _Path)
    said = await _read(request, room, path)
    try:
        _charge(request, said)
    except TooOften as refusal:
        room.refused(path.customerId, path.dialogId, request[PRINCIPAL], refusal.code, said.text)
        raise
    held = await room.push(path.customerId, path.dialogId, said, request[PRINCIPAL])
    return json(Held(path.dialogId, held), status=201)


async def _read(request: web.Request, room: WaitingRoom, path: _Path) -> Said:
    """Return the message in the body. One that is refused is missing from the dialog, and the room remembers that.

    Raises:
        BadRequest, WrongMediaType, Overloaded: If it cannot be read.
    """
    try:
        return convert(await _fields(request), Pushed).said()
    except Refusal as refusal:
        room.refused(path.customerId, path.dialogId, request[PRINCIPAL], refusal.code)
        raise
    except web.HTTPException as error:  # too large, or too slow
        room.refused(path.customerId, path.dialogId, request[PRINCIPAL], HTTP_PROBLEMS[error.status][0])
        raise


def _charge(request: web.Request, said: Said) -> None:
    """Count the message against the client's rate limits, like a frame of a live dialog.

    Raises:
        TooOften: If the client exceeds a rate limit.
    """
    names = (by_address(client_address(request)), by_credential(request[PRINCIPAL].id))
    request.app[SERVICE].clients.charge(names, 1, request.content_length or len(said.text))


async def _fields(request: web.Request) -> dict[str, Any]:
    """Return the body's fields, of a JSON object or of a form. The Content-Type may be missing."""
    body = await bodies.of_either(request)
    if body.startswith(b"{") or request.content_type == bodies.JSON:
        decoded = bodies.decode_json(body)
        if not isinstance(decoded, dict):
            raise BadRequest("body", 'must be a JSON object, such as {"text": "Hi", "language": "EN"}')
        return cast("dict[str, Any]", decoded)
    return bodies.decode_form(body)


ROUTES: Final = (
    Route(
        "POST",
        "/data/{customerId}/{dialogId}",
        push,
        scopes=("dialogs:write",),
        body={bodies.JSON: Pushed, bodies.FORM: PushedForm},
        answers=(Answer({bodies.JSON: Held}, 201),),
        refusals=(
            errors.Conflict,
            errors.Lost,
            errors.Erased,
            errors.OverLimit,
            errors.Overloaded,
            errors.TooOften,
            errors.Unsupported,
        ),
        tag=tags.ORIGINAL,
        operation="original_push",
    ),
)
