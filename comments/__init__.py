"""Readers' comments, held until a moderator approves them. Nothing is posted yet."""
