"""The worker's image core beside its peers: time, memory, likeness, with the targets."""
