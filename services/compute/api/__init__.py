"""The compute service's contract, one file a noun: messages in, messages out."""
