"""The report: one HTML file from stored tables and drawn figures, live without a network. Captions are beside it."""
