"""Runs that are killed at random: nothing may be lost, doubled, or moved back."""
