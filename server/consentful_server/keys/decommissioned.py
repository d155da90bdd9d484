"""What a keys folder says of a deployment that ended, or is ending: every start and command looks at it first.

(neither)          in use
ENDING             `consentful decommission` has begun; only that command goes on
REPORT             it has ended; nothing of it can be read any more
"""

import os
from pathlib import Path
from typing import Final

from ..errors import BadKeys, BadSetting

ENDING: Final = "decommissioning.json"
REPORT: Final = "decommissioned.jws"
PUBLISHED: Final = "decommissioned.jwks.json"
"""The public keys, with which anybody can verify the report and the receipts of the time before."""


def refuse_decommissioned(keys_dir: Path) -> None:
    """Check that the deployment is in use.

    Raises:
        BadKeys: If it was decommissioned, or is about to be.
        BadSetting: If this user cannot see that.
    """
    is_effective = os.access in os.supports_effective_ids
    if keys_dir.is_dir() and not os.access(keys_dir, os.X_OK, effective_ids=is_effective):
        raise BadSetting("keys_dir", f"must be a folder that this user can read; run this as the owner of {keys_dir}")
    if (keys_dir / ENDING).exists():
        raise BadKeys(
            f"this deployment is being decommissioned ({keys_dir / ENDING}), and what was destroyed does not come back;"
            " to end it, run: consentful decommission"
        )
    if (keys_dir / REPORT).exists():
        raise BadKeys(
            f"this deployment was decommissioned: {keys_dir / REPORT} says when, and what was destroyed; verify it"
            f" with: consentful verify {keys_dir / REPORT} --jwks {keys_dir / PUBLISHED}; for a new deployment, name"
            " another --keys-dir"
        )
