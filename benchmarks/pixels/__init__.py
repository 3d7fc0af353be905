"""Pixels as parameters: as many dimensions as a picture has numbers."""
