"""Bytes to messages and back, both directions and both ends; knows no device, clock or socket."""
