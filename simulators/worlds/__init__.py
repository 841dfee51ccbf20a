"""Make-believe worlds: pure functions of time, with a seed. They know no wire."""
