"""What an operator sets when the stack is deployed, a module for each console group."""
