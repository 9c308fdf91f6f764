"""Wiring: settings, addresses, servers. Apps never import from here."""
