"""The nouns of a county's hardware, and the order in which things happen."""
