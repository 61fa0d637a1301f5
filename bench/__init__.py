"""Our speed against a reference written by hand: `python -m bench`."""
