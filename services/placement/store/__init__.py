"""All SQL of placement, one file a noun. Every function takes the connection of a unit of work."""
