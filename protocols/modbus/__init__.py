"""Modbus: MBAP and RTU frames, requests and replies, registers, and what 4G DTUs send in between."""
