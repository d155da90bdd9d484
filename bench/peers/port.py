"""Which port a peer is told to listen on."""

import argparse


def port() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    return parser.parse_known_args()[0].port


def option(name: str, otherwise: str) -> str:
    parser = argparse.ArgumentParser()
    parser.add_argument(f"--{name}", default=otherwise)
    return getattr(parser.parse_known_args()[0], name)
