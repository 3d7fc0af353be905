"""Programs that nobody can differentiate: command lines that take parameters and leave a picture."""
