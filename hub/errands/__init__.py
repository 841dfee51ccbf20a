"""What `fieldhub COMMAND` does, where that needs no room but the hub: one file a family.

Each takes the parsed words and returns the exit code; what cannot be done is BadConfig, said in words.
"""
