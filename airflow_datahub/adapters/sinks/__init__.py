"""Where records go: one file, one sink."""
