"""Rules: the language, the holds, the files, the stories, and the whole in the hub."""
