"""The embedded AWS and the local run."""
