"""weft.node.v1 as this host serves it."""
