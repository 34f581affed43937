"""The function's zip and its software bill of materials."""
