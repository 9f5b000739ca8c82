"""All SQL of identity, one file a noun. Every function takes the connection of a unit of work."""
