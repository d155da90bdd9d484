"""HTTP: the middleware of every request, parsing of requests, and writing of responses."""
