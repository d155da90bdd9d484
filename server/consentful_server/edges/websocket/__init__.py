"""The live dialog over a WebSocket, from the upgrade to the close frame.

`upgrade` lets a client in; `socket` is aiohttp's WebSocket below the frames; `connection` turns frames into calls of
the dialog's rules and back; `acks`, `charging` and `closing` are one part of that each. `transport` is all that these
know of what is below them: aiohttp's WebSocket is known to `upgrade` and `socket` alone.
"""
