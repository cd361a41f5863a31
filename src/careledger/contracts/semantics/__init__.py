"""What the operators, functions and methods of the language do to values, and what they cost."""
