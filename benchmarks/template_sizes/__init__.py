"""The size of each option of the specification in the template."""
