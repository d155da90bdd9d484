"""The AsyncAPI 3.0 document of the live dialog, generated from the frames, the refusals and the close codes."""

import inspect
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any, Final, get_args
from urllib.parse import urlsplit

from aiohttp import WSCloseCode

from consentful import close_codes, wire

from .. import errors
from ..edges.http import faults
from ..edges.websocket import admission, upgrade
from ..errors import Refusal
from .examples import EXAMPLES, refusal_of
from .schemas import Auth, Json, Schemas, plain

FROM_CLIENT: Final[tuple[type[wire.ClientFrame], ...]] = get_args(wire.FromClient)
FROM_SERVER: Final[tuple[type[wire.ServerFrame], ...]] = get_args(wire.FromServer)

REPLIES: Final[Mapping[type[wire.ClientFrame], tuple[type[wire.ServerFrame], ...]]] = {
    wire.Open: (wire.Opened, wire.Error),
    wire.Message: (wire.Ack, wire.Error),
    wire.Consent: (wire.Stored, wire.Discarded, wire.Error),
}
"""The replies to each client frame. The server sends all other frames unsolicited."""

REFUSALS: Final[tuple[type[Refusal], ...]] = (
    errors.OutOfOrder,
    errors.Gap,
    errors.OverLimit,
    errors.Incomplete,
    errors.Empty,
    errors.UnknownNotice,
    errors.UnknownPurpose,
    errors.StorageFailed,
    errors.Damaged,
    errors.Conflict,
    errors.Erased,
    errors.OutcomeUnknown,
    errors.Overloaded,
    errors.TooOften,
    errors.ProviderDown,
    errors.TokenExpired,
    errors.Unauthenticated,
    errors.Forbidden,
    errors.BadRequest,
)
"""The refusals that an `error` frame can carry."""

CLOSES: Final[Mapping[int, str]] = {
    faults.CLOSED_DECIDED: "The dialog is decided; the server sent `stored` or `discarded` before.",
    WSCloseCode.PROTOCOL_ERROR: "The client violated the WebSocket protocol (RFC 6455).",
    WSCloseCode.ABNORMAL_CLOSURE: "The connection was lost without a close frame: network failure, or server killed.",
    faults.CLOSED_BAD_TEXT: "A text frame is not valid UTF-8.",
    WSCloseCode.MESSAGE_TOO_BIG: "A frame exceeds `max_frame_bytes`.",
    faults.CLOSED_FAULT: "An internal server error.",
    faults.CLOSED_DRAINING: "The server is shutting down; replay to another node, or after the restart.",
    faults.CLOSED_SLOW: "The client did not read the server's frames for too long.",
    faults.CLOSED_TOO_MANY_BAD_FRAMES: "The client sent too many malformed or out-of-order frames.",
    faults.CLOSED_IDLE: "No message was sent for `idle_timeout_s`; the dialog was discarded.",
    faults.CLOSED_SUPERSEDED: "A newer connection of the same client took over the dialog.",
    faults.CLOSED_NOT_OPENED: "The client did not send `open` in time.",
    faults.CLOSED_TOO_LONG: "The dialog exceeded `max_duration_s` and was discarded.",
}
"""The close codes that no `error` frame precedes. `faults.FAULTS` has the others."""

_DESCRIPTION: Final = """\
One WebSocket connection carries one dialog between one customer and a chatbot. The server holds its messages in memory
only. A final `consent` with `granted: true` stores the dialog in one durable transaction; any other end discards it.
"""
_CHANNEL: Final = """\
The chatbot sends `open`, then a `message` for each utterance, then `consent`:

{example}
Send the token in the header `Authorization: Bearer …`, never in the URL. A browser cannot set that header; it offers
the subprotocol `{bearer}<token>` together with one of the two below. Required scope: `{scope}`.

With `{json}`, the default, frames are text; with `{msgpack}` they are binary. The types are the same. The server
rejects unknown fields. Clients must ignore them, so that a newer server can talk to an older client.
"""
_SUBPROTOCOLS: Final = {wire.JSON: "application/json", wire.MSGPACK: "application/vnd.msgpack"}
_PATH: Final = "#/channels/live"

_SECURITY_SCHEMES: Final[Json] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": f"Required scope: `{admission.SCOPE}`"},
    "subprotocol": {
        "type": "httpApiKey",
        "in": "header",
        "name": "Sec-WebSocket-Protocol",
        "description": f"For browsers: `{wire.BEARER}<token>`, together with a subprotocol",
    },
}


def describe(*, auth: Auth = "keys", base_url: str = "") -> Json:
    """Return the AsyncAPI document of a server with this authentication; `none` omits the tokens.

    `base_url` is the URL at which clients reach the server; if empty, the document describes where it could be.
    """
    frames = (*FROM_CLIENT, *FROM_SERVER)
    schemas = Schemas(frames)
    schemes = {} if auth == "none" else _SECURITY_SCHEMES
    security = [{"$ref": f"#/components/securitySchemes/{name}"} for name in schemes]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Consentful: the live dialog",
            "version": version("consentful"),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": _SUBPROTOCOLS[wire.JSON],
        "servers": {"this": _at(base_url, security)} if base_url else _anywhere(security),
        "channels": {"live": _channel(frames)},
        "operations": dict(_operations()),
        "components": {
            "messages": {_name(frame): _message(frame, schemas) for frame in frames},
            "schemas": schemas.components,
            "securitySchemes": schemes,
        },
        "x-errors": [_bad_frame(), *(_error(kind) for kind in REFUSALS if kind is not errors.BadRequest)],
        "x-close-codes": closes(),
    }


def closes() -> list[Json]:
    """Return for every close code its meaning, the errors that precede it, and whether to reconnect and replay."""
    meanings = dict(CLOSES)
    after: dict[int, list[str]] = {}
    for kind in REFUSALS:
        close = faults.FAULTS[kind.code].close
        if close is not None:
            meanings.setdefault(close, _doc(kind))
            after.setdefault(close, []).append(kind.code)
    return [
        {"code": int(code), "meaning": meanings[code], "errors": after.get(code, []), "replay": _is_replayed(code)}
        for code in sorted(meanings)
    ]


def _is_replayed(code: int) -> bool:
    """Whether the SDK reconnects and replays after this close code."""
    return code != faults.CLOSED_DECIDED and isinstance(close_codes.of_close(code, None), close_codes.Lost)


def _at(base_url: str, security: list[Json]) -> Json:
    """Return the server at this URL, whose path comes before the channel's address."""
    parts = urlsplit(base_url)
    protocol = "wss" if parts.scheme == "https" else "ws"
    path = parts.path.rstrip("/")
    return _server(parts.netloc, protocol, "This server", security) | ({"pathname": path} if path else {})


def _anywhere(security: list[Json]) -> Json:
    return {
        "local": _server("127.0.0.1:8080", "ws", "The default of `consentful serve`", security),
        "deployed": _server("{host}", "wss", "A deployment with TLS", security)
        | {"variables": {"host": {"description": "Your server's name", "default": "dialogs.example.com"}}},
    }


def _server(host: str, protocol: str, description: str, security: list[Json]) -> Json:
    return {"host": host, "protocol": protocol, "description": description, "security": security}


def _channel(frames: tuple[type[Any], ...]) -> Json:
    encode = wire.CODECS[wire.JSON].encode
    example = "".join(f"    {encode(EXAMPLES[frame]).decode()}\n" for frame in FROM_CLIENT)
    offers = {"type": "string", "enum": list(_SUBPROTOCOLS), "default": wire.JSON}
    return {
        "address": upgrade.ROUTES[0].path,
        "title": "A live dialog",
        "description": _CHANNEL.format(
            example=example, bearer=wire.BEARER, scope=admission.SCOPE, json=wire.JSON, msgpack=wire.MSGPACK
        ),
        "messages": {_name(frame): {"$ref": f"#/components/messages/{_name(frame)}"} for frame in frames},
        "bindings": {
            "ws": {
                "method": "GET",
                "headers": {"type": "object", "properties": {"Sec-WebSocket-Protocol": offers}},
                "bindingVersion": "0.1.0",
            }
        },
        "x-subprotocols": [
            {
                "name": name,
                "contentType": _SUBPROTOCOLS[name],
                "frames": "binary" if wire.CODECS[name].binary else "text",
            }
            for name in _SUBPROTOCOLS
        ],
    }


def _operations() -> Iterator[tuple[str, Json]]:
    """Yield the operations: frames that the server receives, with their replies, and frames that it sends by itself."""
    for frame, replies in REPLIES.items():
        yield (
            _name(frame),
            {
                "action": "receive",
                "channel": {"$ref": _PATH},
                "summary": _doc(frame),
                "messages": [_reference(frame)],
                "reply": {"channel": {"$ref": _PATH}, "messages": [_reference(reply) for reply in replies]},
            },
        )
    answered = {reply for replies in REPLIES.values() for reply in replies}
    for frame in FROM_SERVER:
        if frame not in answered:
            yield (
                _name(frame),
                {
                    "action": "send",
                    "channel": {"$ref": _PATH},
                    "summary": _doc(frame),
                    "messages": [_reference(frame)],
                },
            )


def _message(frame: type[Any], schemas: Schemas) -> Json:
    name = _name(frame)
    return {
        "name": name,
        "title": frame.__name__,
        "summary": _doc(frame),
        "contentType": _SUBPROTOCOLS[wire.JSON],
        "payload": schemas.of(frame),
        "examples": [{"name": name, "payload": plain(EXAMPLES[frame])}],
    }


def _reference(frame: type[Any]) -> Json:
    return {"$ref": f"{_PATH}/messages/{_name(frame)}"}


def _name(frame: type[Any]) -> str:
    return frame.__struct_config__.tag


def _error(kind: type[Refusal]) -> Json:
    fault = faults.FAULTS[kind.code]
    return {
        "code": kind.code,
        "meaning": _doc(kind),
        "remedy": str(refusal_of(kind)),
        "survives": fault.close is None,
        "close": fault.close,
        "retry": bool(fault.retry),
    }


def _bad_frame() -> Json:
    """Return the error of a malformed frame, which `faults.to_wire` makes of `BadRequest`."""
    code = faults.to_wire(refusal_of(errors.BadRequest)).code
    remedy = f"fix the field at the path in `detail`; too many bad frames close {faults.CLOSED_TOO_MANY_BAD_FRAMES}"
    meaning = "The frame cannot be decoded, or does not match the schema."
    return {"code": code, "meaning": meaning, "remedy": remedy, "survives": True, "close": None, "retry": False}


def _doc(kind: type[Any]) -> str:
    return inspect.cleandoc(kind.__doc__ or "")
