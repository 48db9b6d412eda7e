"""Former places of names, kept for scripts that import them from here."""
