"""`POST /consents/{dialogId}`: the decision about a dialog, in every form that chatbots have sent."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias, cast

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from consentful import wire

from .... import errors
from ....dialogs.pushed import AnyLanguage, Decided, Details, Messages
from ....errors import BadRequest
from ...http import bodies, tags
from ...http.parameters import convert, of_path
from ...http.pipeline import PRINCIPAL, SERVICE, json
from ...http.route import Answer, Route
from .room import room_of

NAMES: Final = ("consent", "consents", "is_accepted", "accepted", "value", "has_given_consent", "granted")
"""What chatbots call the decision."""

_SPELLINGS: Final = {"true": True, "false": False}
"""Compared in lower case: a chatbot in Python sends `str(True)`, which is `True`."""

_WITHDRAW: Final = "/withdraw"
"""The page where customers withdraw; see `routes.withdraw`."""

_TAKEN: Final = (
    "must be true or false, alone or under one of the names "
    + ", ".join(NAMES)
    + ', such as {"consent": true}, as JSON or as a form;'
    " beside it may be `messages`, `purposes`, `notice` and `language`, and nothing else"
)

Spelt: TypeAlias = Annotated[
    str, Meta(pattern=r"^\s*([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])\s*$", description="true or false, in any case")
]
_Named: TypeAlias = bool | Spelt | UnsetType
_SpeltName: TypeAlias = Spelt | UnsetType
_List: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9._:-]{1,100}(,[A-Za-z0-9._:-]{1,100})*$(?!\n)",
        description="ids of purposes, separated by commas; all if absent",
    ),
]


class Decision(Details, frozen=True, forbid_unknown_fields=True):
    """The decision as a JSON object: one boolean, under one of seven names, and what may stand beside it."""

    consent: _Named = UNSET
    consents: _Named = UNSET
    is_accepted: _Named = UNSET
    accepted: _Named = UNSET
    value: _Named = UNSET
    has_given_consent: _Named = UNSET
    granted: _Named = UNSET


_ONE_NAME: Final = {"oneOf": [{"required": [name]} for name in NAMES]}

DECISION: Final = Annotated[
    bool | Spelt | Decision, Meta(extra_json_schema={"if": {"type": "object"}, "then": _ONE_NAME})
]
"""Every JSON form of the decision that chatbots have sent."""


class DecisionForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The decision as a form: one field, with one of these names. A form has no null."""

    consent: _SpeltName = UNSET
    consents: _SpeltName = UNSET
    is_accepted: _SpeltName = UNSET
    accepted: _SpeltName = UNSET
    value: _SpeltName = UNSET
    has_given_consent: _SpeltName = UNSET
    granted: _SpeltName = UNSET
    messages: Messages | UnsetType = UNSET
    purposes: _List | UnsetType = UNSET
    notice: wire.Label | UnsetType = UNSET
    language: AnyLanguage | UnsetType = UNSET


DECISION_FORM: Final = Annotated[DecisionForm, Meta(extra_json_schema=_ONE_NAME)]


class _Path(msgspec.Struct, frozen=True):
    dialogId: wire.DialogId  # noqa: N815


async def consent(request: web.Request) -> web.StreamResponse:
    """Decide a dialog: store it or discard it. `false` after `true` is a withdrawal and erases the stored dialog."""
    room, path = room_of(request), convert(of_path(request), _Path)
    granted, details = await _decision(request)
    decided = await room.decide(path.dialogId, granted, request[PRINCIPAL], details)
    if decided.receipt is UNSET:
        return json(decided)
    page = request.app[SERVICE].settings.address_of(_WITHDRAW)
    link = f"{page}#{decided.withdrawal_code}"
    return json(msgspec.structs.replace(decided, withdraw_url=page, withdraw_link=link))


async def _decision(request: web.Request) -> tuple[bool, Details]:
    """Return the decision in the body, and what stands beside it.

    Raises:
        BadRequest: If there is no decision, or more than one, or anything that is not known.
    """
    body = await bodies.of_either(request)
    if body.lower() in (b"true", b"false"):
        return body.lower() == b"true", Details()
    if b"=" in body and not body.startswith((b"{", b'"')):
        return _of_form(bodies.decode_form(body))
    if not body.startswith(b"{"):
        return _of_scalar(body), Details()
    return _of_fields(cast("dict[str, Any]", bodies.decode_json(body)))


def _of_form(fields: Mapping[str, str]) -> tuple[bool, Details]:
    purposes = {"purposes": fields["purposes"].split(",")} if "purposes" in fields else {}
    return _of_fields({**fields, **purposes}, numbers_as_text=("messages",))


def _of_scalar(body: bytes) -> bool:
    try:
        return _boolean(bodies.decode_json(body))
    except BadRequest:  # a bare word, such as `yes`, is not even JSON
        raise BadRequest("body", _TAKEN) from None


def _of_fields(fields: Mapping[str, Any], numbers_as_text: tuple[str, ...] = ()) -> tuple[bool, Details]:
    named = [name for name in NAMES if name in fields]
    details = {name: value for name, value in fields.items() if name not in named}
    if len(named) != 1 or not set(details).issubset(Details.__struct_fields__):
        raise BadRequest("body", _TAKEN)
    return _boolean(fields[named[0]]), convert(details, Details, numbers_as_text=numbers_as_text)


def _boolean(value: Any) -> bool:
    decision = _SPELLINGS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(decision, bool):
        raise BadRequest("body", _TAKEN)
    return decision


ROUTES: Final = (
    Route(
        "POST",
        "/consents/{dialogId}",
        consent,
        scopes=("dialogs:write",),
        body={bodies.JSON: DECISION, bodies.FORM: DECISION_FORM, bodies.TEXT: Spelt},
        answers=(Answer({bodies.JSON: Decided}),),
        refusals=(
            errors.NotFound,
            errors.Conflict,
            errors.Lost,
            errors.Incomplete,
            errors.OutOfOrder,
            errors.UnknownNotice,
            errors.UnknownPurpose,
            errors.Damaged,
            errors.Erased,
            errors.StorageFailed,
            errors.OutcomeUnknown,
            errors.Unsupported,
        ),
        tag=tags.ORIGINAL,
        operation="original_consent",
    ),
)
