"""Volumes: disks that live apart from servers, their snapshots, and the pools that keep them."""
