"""Things that move by the laws of a simulator."""
