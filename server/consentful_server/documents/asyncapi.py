"""The AsyncAPI 3.0 document of the live dialog, made from the frames, the refusals and their close codes."""

import inspect
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any, Final, get_args

from aiohttp import WSCloseCode

from consentful import close_codes, wire

from .. import errors
from ..edges.http import faults
from ..edges.websocket import upgrade
from ..errors import Refusal
from .examples import EXAMPLES, refusal_of
from .schemas import Json, Schemas, plain

FROM_CLIENT: Final[tuple[type[wire.ClientFrame], ...]] = get_args(wire.FromClient)
FROM_SERVER: Final[tuple[type[wire.ServerFrame], ...]] = get_args(wire.FromServer)

REPLIES: Final[Mapping[type[wire.ClientFrame], tuple[type[wire.ServerFrame], ...]]] = {
    wire.Open: (wire.Opened, wire.Error),
    wire.Message: (wire.Ack, wire.Error),
    wire.Consent: (wire.Stored, wire.Discarded, wire.Error),
}
"""What answers what; the server says the rest of its own accord."""

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
"""What an `error` frame can tell."""

CLOSES: Final[Mapping[int, str]] = {
    faults.CLOSED_DECIDED: "Decided: `stored` or `discarded` came before.",
    WSCloseCode.PROTOCOL_ERROR: "What was sent is no WebSocket.",
    WSCloseCode.ABNORMAL_CLOSURE: "No close frame came: the network broke, or the server was killed.",
    faults.CLOSED_BAD_TEXT: "A text frame is not UTF-8.",
    WSCloseCode.MESSAGE_TOO_BIG: "A frame is above `max_frame_bytes`.",
    faults.CLOSED_FAULT: "A fault of the server's.",
    faults.CLOSED_DRAINING: "The server stops; another node, or the next start, takes the replay.",
    faults.CLOSED_SLOW: "The client left its acks unread for too long.",
    faults.CLOSED_TOO_MANY_BAD_FRAMES: "Too many frames could not be read, or came out of order.",
    faults.CLOSED_IDLE: "Nothing was said for `idle_timeout_s`; everything was dropped.",
    faults.CLOSED_SUPERSEDED: "A newer connection of the same client took the dialog over.",
    faults.CLOSED_NOT_OPENED: "`open` did not come in time.",
    faults.CLOSED_TOO_LONG: "The dialog was older than `max_duration_s`; everything was dropped.",
}
"""The close codes that follow no `error` frame; those that do are in `faults.FAULTS`."""

_DESCRIPTION: Final = """\
One WebSocket is one dialog between one customer and a chatbot. Its messages live in the memory of that connection and
nowhere else. A final `consent` with `granted: true` makes one durable transaction; everything else drops them.
"""
_CHANNEL: Final = """\
The chatbot says `open`, then a `message` for each utterance, then `consent`:

{example}
The token goes into `Authorization: Bearer …`, never into the URL; a browser, which cannot set it, offers the
subprotocol `{bearer}<token>` beside one of the two below. Scope: `{scope}`.

`{json}` (also when none is offered) sends text frames, `{msgpack}` binary ones, of the same types. The server refuses
unknown fields; clients ignore them, so that a newer server can speak to an older client.
"""
_SUBPROTOCOLS: Final = {wire.JSON: "application/json", wire.MSGPACK: "application/vnd.msgpack"}
_PATH: Final = "#/channels/live"


def describe() -> Json:
    """Return the document."""
    frames = (*FROM_CLIENT, *FROM_SERVER)
    schemas = Schemas(frames)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Consentful: the live dialog",
            "version": version("consentful"),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": _SUBPROTOCOLS[wire.JSON],
        "servers": {
            "local": _server("127.0.0.1:8080", "ws", "What `consentful serve` starts"),
            "deployed": _server("{host}", "wss", "Behind TLS")
            | {"variables": {"host": {"description": "Yours", "default": "dialogs.example.com"}}},
        },
        "channels": {"live": _channel(frames)},
        "operations": dict(_operations()),
        "components": {
            "messages": {_name(frame): _message(frame, schemas) for frame in frames},
            "schemas": schemas.components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": f"Scope: `{upgrade.SCOPE}`"},
                "subprotocol": {
                    "type": "httpApiKey",
                    "in": "header",
                    "name": "Sec-WebSocket-Protocol",
                    "description": f"`{wire.BEARER}<token>`, beside a subprotocol: for browsers",
                },
            },
        },
        "x-errors": [_bad_frame(), *(_error(kind) for kind in REFUSALS if kind is not errors.BadRequest)],
        "x-close-codes": closes(),
    }


def closes() -> list[Json]:
    """Return what every close code means, after which errors it comes, and whether to connect again and replay."""
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
    """Whether our own SDK connects again after it."""
    return code != faults.CLOSED_DECIDED and isinstance(close_codes.of_close(code, None), close_codes.Lost)


def _server(host: str, protocol: str, description: str) -> Json:
    return {
        "host": host,
        "protocol": protocol,
        "description": description,
        "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in ("bearer", "subprotocol")],
    }


def _channel(frames: tuple[type[Any], ...]) -> Json:
    encode = wire.CODECS[wire.JSON].encode
    said = "".join(f"    {encode(EXAMPLES[frame]).decode()}\n" for frame in FROM_CLIENT)
    offers = {"type": "string", "enum": list(_SUBPROTOCOLS), "default": wire.JSON}
    return {
        "address": upgrade.ROUTES[0].path,
        "title": "A live dialog",
        "description": _CHANNEL.format(
            example=said, bearer=wire.BEARER, scope=upgrade.SCOPE, json=wire.JSON, msgpack=wire.MSGPACK
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
    """Yield what the server receives and what it sends of its own accord."""
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
    """Return what is told of a frame that breaks the schema: on a socket there are no parameters, only frames."""
    told = faults.to_wire(refusal_of(errors.BadRequest))
    remedy = f"look at the path in `detail`; too many of them close with {faults.CLOSED_TOO_MANY_BAD_FRAMES}"
    meaning = "A frame that cannot be decoded, or breaks the schema."
    return {"code": told.code, "meaning": meaning, "remedy": remedy, "survives": True, "close": None, "retry": False}


def _doc(kind: type[Any]) -> str:
    return inspect.cleandoc(kind.__doc__ or "")
