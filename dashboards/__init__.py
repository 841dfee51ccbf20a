"""People: the console in the browser and the API behind it."""
