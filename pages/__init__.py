"""The front hall: what belongs to the site and to no other room."""
