"""What each option of the specification costs in the template, for docs/template-size.md."""
