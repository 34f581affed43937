"""The IAM roles of those who deploy, look at and operate a stack."""
