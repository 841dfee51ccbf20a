"""Proof of what hub/historian promises."""
