"""The emulator and the local run."""
