"""Make-believe Modbus devices: TCP, TLS, RTU on a serial line, RTU over TCP, and 4G DTUs that dial in."""
