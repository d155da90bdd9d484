"""The HTTP server below the application: sockets, TLS, time-outs. It alone uses private parts of aiohttp's server."""
