"""Searches for bytes that a decoder does not know what to do with: atheris, in a process of its own."""

# atheris is there for the long proofs alone.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportAttributeAccessIssue=false

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent.parent))
with atheris.instrument_imports(include=["consentful", "consentful_server"]):
    from fuzz.decoders import TARGETS

target, *options = sys.argv[1:]
atheris.Setup([sys.argv[0], *options], TARGETS[target])
atheris.Fuzz()
