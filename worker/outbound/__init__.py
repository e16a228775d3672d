"""HTTP requests to URLs from clients: the guarded client, signatures. May import no other folder."""
