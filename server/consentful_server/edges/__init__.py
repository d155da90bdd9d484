"""The edges: they parse, call and encode, and decide nothing."""
