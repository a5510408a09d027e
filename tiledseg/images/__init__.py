"""Image files: the only reader and the only writer of them, whole or region by region."""
