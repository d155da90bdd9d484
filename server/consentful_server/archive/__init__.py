"""What is kept: how it is sealed and opened, what may happen to it, and how it is asked for."""
