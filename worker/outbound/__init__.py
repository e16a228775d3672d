"""HTTP requests to URLs from clients, and fair shares of connections. May import no other folder."""
