"""What is promised as a number: one script a promise, each prints a table."""
