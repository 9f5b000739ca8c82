"""`weft demo`: the cloud's main job, done and proved from beginning to end."""
