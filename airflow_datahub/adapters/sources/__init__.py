"""Where records come from: one file, one source."""
