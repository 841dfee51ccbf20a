"""Make-believe devices that speak the real protocols and fail in the real ways."""
