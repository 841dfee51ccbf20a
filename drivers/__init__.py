"""Sockets, and the translation between a device's messages and the hub's nouns."""
