"""What is kept of prepared data, so that it is prepared once."""
