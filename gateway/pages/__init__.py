"""Pages behind the edge: an index, the API's documentation, the traces."""
