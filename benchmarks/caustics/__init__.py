"""Light focused by refraction and counted photon by photon."""
