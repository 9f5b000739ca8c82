"""The RPCs of placement, one file a noun: proto in, proto out."""
