"""Where what is kept is kept: implementations of the protocols that the domain folders state."""
