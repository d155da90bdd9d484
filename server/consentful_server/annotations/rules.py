"""The rules for changing an annotation. Pure: a store loads it, asks a rule, and applies what the rule allows.

put       the dialog is stored, within the scope, and the condition holds     store it in place of the earlier one
          the dialog was erased, or narrowed out of the scope, meanwhile      NotFound
          the condition does not hold                                         Stale
delete    there is one, and the condition holds                               delete it
          there is none, and nothing was demanded                             nothing: a repeated call changes nothing
          the condition does not hold                                         Stale
"""

from ..auth.read_scope import ReadScope
from ..errors import NotFound, Stale
from .store import Condition, SealedAnnotation


def on_put(
    purposes: tuple[str, ...] | None, found: SealedAnnotation | None, condition: Condition, scope: ReadScope
) -> bool:
    """Return whether the annotation is a new one. `purposes` are the dialog's; None if it is not stored.

    Raises:
        NotFound: If the dialog is not stored, or not within the scope.
        Stale: If the condition does not hold.
    """
    if purposes is None or not scope.covers(purposes):
        raise NotFound
    _check(found, condition)
    return found is None


def on_delete(found: SealedAnnotation | None, condition: Condition) -> bool:
    """Return whether there is anything to delete.

    Raises:
        Stale: If the condition does not hold.
    """
    _check(found, condition)
    return found is not None


def _check(found: SealedAnnotation | None, condition: Condition) -> None:
    if condition.is_new and found is not None:
        raise Stale
    if condition.etags is None:
        return
    if found is None or not ("*" in condition.etags or found.etag in condition.etags):
        raise Stale
