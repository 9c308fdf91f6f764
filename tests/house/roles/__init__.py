"""The permission matrix of docs/roles.md, tried cell by cell (W10)."""
