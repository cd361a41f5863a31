"""Source text to syntax tree: tokens, expressions, statements, and the nodes both engines take."""
