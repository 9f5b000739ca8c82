"""The host agent: what makes one machine a host of the cloud."""
