"""The commands: options in, one call, a table or JSON out."""
