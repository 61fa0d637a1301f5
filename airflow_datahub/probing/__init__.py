"""Ask a new API a few questions that were announced, and tell what its answers are made of and how to page them."""
