"""What is done to a running stack."""
