"""Sessions, the deployed stack, its queues and objects, and errors as sentences."""
