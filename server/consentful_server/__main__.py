"""The entry point of `consentful` and of `python -m consentful_server`."""

import sys


def main() -> None:
    """Run the command line. Without the server's libraries, exit with the command that installs them."""
    try:
        from .cli import run  # noqa: PLC0415 - the SDK alone is installed without the server's libraries
    except ModuleNotFoundError as error:
        sys.exit(f"The server's libraries are not installed ({error.name}): pip install 'consentful[server]'")
    sys.exit(run())


if __name__ == "__main__":
    main()
