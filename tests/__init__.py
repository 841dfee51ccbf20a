"""Proof: these mirror the rooms, and test the house itself."""
