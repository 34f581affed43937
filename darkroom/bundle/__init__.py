"""The function's package: its zip, the same bytes from any host, and its SBOM."""
