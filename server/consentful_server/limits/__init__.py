"""How much one client may take: rates, live dialogs, attempts at withdrawal codes."""
