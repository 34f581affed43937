"""Single defects in the generated template, and which tool notices each."""
