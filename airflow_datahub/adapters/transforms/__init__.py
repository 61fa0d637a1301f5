"""What happens to a record: one file, one operator."""
