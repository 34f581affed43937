"""What an operator may set when the stack is deployed, by subject."""
