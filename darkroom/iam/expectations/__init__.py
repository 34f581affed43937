"""What must be allowed and what must be refused, a module for each subject."""
