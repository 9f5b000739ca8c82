"""`weft`, the command line: a gRPC client of the contracts, and the commands that run a cloud."""
