"""What every weft process is made of: calls, callers, errors, storage, flows. It knows no service."""
