"""What operators do with a service: back it up, verify it, harden its process."""
