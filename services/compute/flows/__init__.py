"""Long-running work on servers: one file a flow, the table of its steps and their undo on top."""
