"""The id of a request: in its response, its problem document, the log lines that it causes, and the access log.

A proxy that is trusted may have given it one already, which is in the proxy's own log. It is taken if it consists of
hexadecimal digits and hyphens, as nginx's `$request_id` and Envoy's UUID do: nobody can put words into a log with it.
"""

import re
from typing import Final

from consentful.identifiers import new_id

from ...settings import Settings
from .addresses import is_from_proxy
from .head import Head
from .headers import X_REQUEST_ID

_WELL_FORMED: Final = re.compile(r"[0-9A-Fa-f-]{8,64}")


def request_id_of(head: Head, settings: Settings) -> str:
    """Return the id that a trusted proxy gave to the request, or a new one."""
    given = head.headers.get(X_REQUEST_ID) if settings.trusted_networks else None
    if given is not None and _WELL_FORMED.fullmatch(given) and is_from_proxy(head, settings):
        return given
    return new_id()
