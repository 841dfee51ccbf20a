"""What every codec raises."""


class BadMessage(ValueError):
    """A peer sent what its protocol does not allow. The text says what was expected and what came."""
