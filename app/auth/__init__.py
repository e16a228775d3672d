"""API keys, sessions, signed links, and which hosts and origins are accepted. May import `http`."""
