"""`consentful`, and `python -m consentful_server`."""

import sys


def main() -> None:
    """Run the command line, or say what is missing for it."""
    try:
        from .cli import run  # noqa: PLC0415 - the SDK alone is installed without the server's libraries
    except ModuleNotFoundError as error:
        sys.exit(f"This needs the server's libraries ({error.name} is missing): pip install 'consentful[server]'")
    sys.exit(run())


if __name__ == "__main__":
    main()
