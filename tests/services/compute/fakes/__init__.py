"""The services that compute calls, in memory, behind their real contracts."""
