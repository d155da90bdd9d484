"""The servers that ours is measured against. Each runs as `python -m bench.peers.NAME --port N`."""
