"""Servicers of weft.network.v1: one file a noun."""
