"""Modbus: TCP, TLS, serial RTU, RTU over TCP, and 4G terminals that dial in. Makes and models are data."""
