"""The engine: from settings and the facts of a machine to running workers, and back."""
