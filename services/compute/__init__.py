"""Servers, and the hosts that they run on."""
