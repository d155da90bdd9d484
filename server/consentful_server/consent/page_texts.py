"""The texts of the withdrawal page in each language, and the choice of the one to show."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from ..errors import BadSetting
from .language import canonical, fallbacks

_FALLBACK: Final = "en"
_MOST_PREFERENCES: Final = 20
"""Parts of an Accept-Language header that are read; browsers send a few."""


class PageTexts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the page says in one language. `name` is the language's own name for itself, `dir` how it is written."""

    name: str
    dir: Literal["ltr", "rtl"] = "ltr"
    title: str
    heading: str
    label: str
    hint: str
    button: str
    choose: str
    purposes: str
    withdraw: str
    about: str
    done: str
    done_text: str
    messages: str
    erased: str
    confirmation: str
    partly: str
    partly_text: str
    withdrawn: str
    left: str
    at: str
    none: str
    wrong: str
    wrong_text: str
    busy: str
    busy_text: str
    lost: str
    lost_text: str
    retry: str
    waiting: str


Texts: TypeAlias = Mapping[str, PageTexts]
"""By language tag, in canonical form."""


def read_texts(added: Path | None = None) -> Texts:
    """Return the texts that ship with the server, and those of the operator's file, which replace them.

    Raises:
        BadSetting: If the file cannot be read, or has a language without all of its texts.
    """
    texts = _decode((resources.files("consentful_server.consent") / "withdrawal_page.toml").read_bytes())
    if added is None:
        return texts
    try:
        return {**texts, **_decode(added.read_bytes())}
    except OSError as error:
        raise BadSetting("withdrawal_texts", f"{added} cannot be read ({error.strerror})") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadSetting("withdrawal_texts", f"{added} is no file of the page's texts: {error}") from None


def choose(texts: Texts, asked: str | None, accepted: str) -> str:
    """Return the language to show: the one that is asked for, else the best that the browser accepts, else English.

    `accepted` is an Accept-Language header (RFC 9110 §12.5.4); a range is looked up as in RFC 4647 §3.4.
    """
    wanted = [asked or "", *_preferences(accepted)]
    tags = (tag for language in wanted for tag in fallbacks(canonical(language) or ""))
    return next((tag for tag in tags if tag in texts), _FALLBACK)


def _preferences(accepted: str) -> list[str]:
    """Return the languages of the header, the best first; those with a weight of 0, or none that can be read, not."""
    weighed: list[tuple[float, str]] = []
    for part in accepted.split(",")[:_MOST_PREFERENCES]:
        language, _, weight = part.partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if quality > 0:
            weighed.append((quality, language.strip()))
    return [language for _, language in sorted(weighed, key=lambda it: -it[0])]


def _decode(file: bytes) -> dict[str, PageTexts]:
    found = msgspec.toml.decode(file, type=dict[str, PageTexts])
    unknown = [tag for tag in found if canonical(tag) is None]
    if unknown:
        raise ValueError(f"{unknown[0]} is not a BCP 47 language tag")
    return {canonical(tag) or tag: texts for tag, texts in found.items()}
