"""The RPCs of identity, one file a noun: proto in, proto out."""
