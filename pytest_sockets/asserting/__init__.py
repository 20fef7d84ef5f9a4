"""Questions to the socket table: who holds a port, who listens, waiting for it, and the texts that answer."""
