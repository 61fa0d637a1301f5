"""Runs that are asked to stop, at random moments and where everything hangs: they leave in time and lose nothing."""
