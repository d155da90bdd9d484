"""What the service tells its operators: metrics and log lines. Never message text, customer ids or tokens."""
