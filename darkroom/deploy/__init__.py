"""Deployments of a specification, from its template to a verified stack."""
