"""The make-believe devices: their worlds against physics, their wires against programs that we did not write."""
