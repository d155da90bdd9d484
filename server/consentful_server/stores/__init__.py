"""Stores: implementations of the protocols that each domain folder states in its `store.py`."""
