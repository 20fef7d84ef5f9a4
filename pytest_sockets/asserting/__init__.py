"""Checks of the socket table: who holds a port, who listens, waits, and the texts of their failures."""
